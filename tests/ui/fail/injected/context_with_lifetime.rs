use gae_tasks::{TaskContext, deferred};

#[deferred]
async fn store(#[context] cx: &'static TaskContext) {
    let _ = cx;
}

fn main() {}
