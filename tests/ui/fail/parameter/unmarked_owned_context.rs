use gae_tasks::{TaskContext, deferred};

#[deferred]
async fn store(cx: TaskContext) {
    drop(cx);
}

fn main() {}
