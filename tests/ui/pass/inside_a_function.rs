use gae_tasks::{Client, Task, deferred};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    #[deferred(queue = "emails")]
    async fn send_welcome(user_id: u64) {
        assert_eq!(user_id, 42);
    }

    let tasks = Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(send_welcome::defer(42)).await.unwrap(), 1);
    assert_eq!(tasks.run(SendWelcomeArgs { user_id: 42 }.defer()).await.unwrap(), 1);
    assert!(send_welcome::KIND.ends_with("/send_welcome"));
    send_welcome(42).await;
}
