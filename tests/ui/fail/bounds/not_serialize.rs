use gae_tasks::deferred;
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    id: u64,
}

#[deferred]
async fn bill(order: Order) {
    println!("{}", order.id);
}

fn main() {}
