use gae_tasks::{Client, Task, deferred};

fn first() -> (&'static str, gae_tasks::Defer) {
    #[deferred]
    async fn work() {}
    (work::KIND, work::defer())
}

fn second() -> &'static str {
    #[deferred]
    async fn work() {}
    work::KIND
}

// The edge: the module path does not distinguish the two functions, which the registry reports.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (kind, task) = first();
    assert_eq!(kind, second());
    let tasks = Client::open("memory:").await.unwrap();
    let error = tasks.run(task).await.unwrap_err().to_string();
    assert!(error.contains("two tasks have the kind"), "{error}");
}
