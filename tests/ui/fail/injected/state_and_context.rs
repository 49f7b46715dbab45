use gae_tasks::{TaskContext, deferred};

#[deferred]
async fn store(#[state] #[context] cx: &TaskContext) {
    println!("{cx:?}");
}

fn main() {}
