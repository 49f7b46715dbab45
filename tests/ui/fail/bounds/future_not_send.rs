use std::rc::Rc;

use gae_tasks::deferred;

#[deferred]
async fn count(start: u64) {
    let counter = Rc::new(start);
    other().await;
    println!("{counter}");
}

async fn other() {}

fn main() {}
