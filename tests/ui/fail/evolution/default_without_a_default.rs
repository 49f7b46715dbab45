use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
}

#[deferred]
async fn bill(#[default] order: Order) {
    _ = order.id;
}

fn main() {}
