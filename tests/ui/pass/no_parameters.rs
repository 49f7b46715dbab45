use gae_tasks::{Client, deferred};

#[deferred]
async fn tick() {}

#[deferred()]
fn tock() {}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(tick::defer()).await.unwrap(), 1);
    assert_eq!(tasks.run(TockArgs {}.defer()).await.unwrap(), 1);
}
