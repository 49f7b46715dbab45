// The edge: a module with the function's name is in the type namespace too.
mod send_welcome {
    #[gae_tasks::deferred(task = SendWelcome)]
    pub async fn send_welcome(user_id: u64) {
        assert_eq!(user_id, 5);
    }
}

pub use send_welcome::{SendWelcome, send_welcome};

#[gae_tasks::deferred(task = Str)]
async fn str(text: String) {
    assert_eq!(text, "a");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = gae_tasks::Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(SendWelcome::defer(5)).await.unwrap(), 1);
    assert_eq!(tasks.run(Str::defer("a")).await.unwrap(), 1);
    send_welcome(5).await;
}
