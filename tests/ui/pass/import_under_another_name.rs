use gae_tasks::{Client, Registry, Task};

mod emails {
    #[gae_tasks::deferred]
    pub async fn send_welcome(user_id: u64) {
        assert_eq!(user_id, 7);
    }
}

use emails::send_welcome as greet;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(greet::defer(7)).await.unwrap(), 1);
    greet(7).await;
    assert!(greet::KIND.ends_with(".emails/send_welcome"));
    assert_eq!(Registry::new().with::<greet>().kinds().next(), Some(emails::send_welcome::KIND));
}
