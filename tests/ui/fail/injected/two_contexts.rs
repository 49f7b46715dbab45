use gae_tasks::{TaskContext, deferred};

#[deferred]
async fn store(#[context] a: &TaskContext, #[context] b: TaskContext) {
    println!("{a:?} {b:?}");
}

fn main() {}
