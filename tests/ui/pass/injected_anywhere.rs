use std::sync::Arc;

use gae_tasks::{Client, TaskContext, deferred};

struct Db(u64);

#[derive(Clone)]
struct Pool(u64);

trait Greeter: Send + Sync {
    fn greet(&self) -> String;
}

impl Greeter for Db {
    fn greet(&self) -> String {
        format!("hello {}", self.0)
    }
}

#[deferred]
async fn first(#[state] db: &Db, a: u64, #[context] cx: &TaskContext, b: String, #[state] mut pool: Pool) {
    pool.0 += 1;
    assert_eq!((db.0, a, cx.attempt(), &*b, pool.0), (1, 2, 1, "3", 5));
}

#[deferred]
fn second(a: u64, #[context] cx: TaskContext, #[state] greeter: &Arc<dyn Greeter>, #[state] again: Arc<dyn Greeter>) {
    assert_eq!((a, cx.attempt(), greeter.greet()), (2, 1, again.greet()));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let greeter: Arc<dyn Greeter> = Arc::new(Db(9));
    let tasks = Client::builder().state(Db(1)).state(Pool(4)).state(greeter).open("memory:").await.unwrap();
    assert_eq!(tasks.run(first::defer(2, "3")).await.unwrap(), 1);
    assert_eq!(tasks.run(second::defer(2)).await.unwrap(), 1);
    first(&Db(1), 2, &TaskContext::for_test(), "3".to_owned(), Pool(4)).await;
}
