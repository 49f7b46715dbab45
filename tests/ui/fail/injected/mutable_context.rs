use gae_tasks::{TaskContext, deferred};

#[deferred]
async fn store(#[context] cx: &mut TaskContext) {
    println!("{cx:?}");
}

fn main() {}
