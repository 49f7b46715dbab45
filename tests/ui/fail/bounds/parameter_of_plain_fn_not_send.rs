use std::rc::Rc;

use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order {
    #[serde(skip)]
    lines: Rc<u64>,
}

#[deferred]
fn bill(order: Order) {
    println!("{}", order.lines);
}

fn main() {}
