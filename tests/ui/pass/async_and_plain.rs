use gae_tasks::{Client, deferred};

#[deferred]
async fn waits(id: u64) {
    assert_eq!(id, 1);
}

#[deferred]
fn blocks(id: u64) {
    assert_eq!(id, 2);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(waits::defer(1)).await.unwrap(), 1);
    assert_eq!(tasks.run(blocks::defer(2)).await.unwrap(), 1);
    waits(1).await;
    blocks(2);
}
