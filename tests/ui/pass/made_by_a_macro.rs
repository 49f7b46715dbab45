use gae_tasks::{Client, Task, deferred};

macro_rules! task {
    ($name:ident, $queue:literal, $parameter:ident: $ty:ty, $value:expr) => {
        #[deferred(queue = $queue)]
        async fn $name($parameter: $ty, text: String, #[state] db: &$ty) -> Result<(), String> {
            assert_eq!($parameter, $value);
            assert_eq!(*db, $value);
            assert_eq!(text, "text");
            Ok(())
        }
    };
}

task!(first, "emails", id: u64, 5);
task!(second, "reports", list: Vec<u8>, vec![1]);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::builder().state(5_u64).state(vec![1_u8]).open("memory:").await.unwrap();
    assert_eq!(tasks.run(first::defer(5, "text")).await.unwrap(), 1);
    assert_eq!(tasks.run(second::defer(vec![1], "text")).await.unwrap(), 1);
    assert_eq!((first::QUEUE, second::QUEUE), ("emails", "reports"));
}
