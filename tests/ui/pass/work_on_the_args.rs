use gae_tasks::{Client, deferred};

#[deferred(args(derive(Clone, Default)))]
async fn work(id: u64, tags: Vec<String>) {
    assert_eq!((id, tags.len()), (5, 0));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    let args = WorkArgs { id: 5, ..WorkArgs::default() };
    assert_eq!(tasks.run(args.clone().defer()).await.unwrap(), 1);
    assert_eq!(tasks.run(args.defer()).await.unwrap(), 1);
}
