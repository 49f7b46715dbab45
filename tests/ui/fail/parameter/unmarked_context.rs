use gae_tasks::{TaskContext, deferred};

#[deferred]
async fn store(cx: &TaskContext) {
    println!("{cx:?}");
}

fn main() {}
