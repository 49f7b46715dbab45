use gae_tasks::{Client, TaskContext, deferred};

#[deferred]
async fn work(_: u8, #[state] _: &String, named: u16, _: String, #[context] _: TaskContext, _unused: u32) {
    assert_eq!(named, 2);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::builder().state(String::new()).open("memory:").await.unwrap();
    let args = WorkArgs { arg0: 1, named: 2, arg2: "3".to_owned(), _unused: 4 };
    assert_eq!(tasks.run(args.defer()).await.unwrap(), 1);
    assert_eq!(tasks.run(work::defer(1, 2, "3", 4)).await.unwrap(), 1);
}
