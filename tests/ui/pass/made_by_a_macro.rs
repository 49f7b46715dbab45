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

// A type that is one name has no invisible group around it, and the hygiene of the caller.
macro_rules! task_of_names {
    ($name:ident, $ty:ident, $state:ident) => {
        #[deferred]
        async fn $name(id: $ty, #[default] other: $ty, #[state] db: &$state, #[state] copy: $state) {
            assert_eq!((id, other, *db, copy), (5, 6, 5, 5));
        }
    };
}

task_of_names!(third, u32, u64);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::builder().state(5_u64).state(vec![1_u8]).open("memory:").await.unwrap();
    assert_eq!(tasks.run(first::defer(5, "text")).await.unwrap(), 1);
    assert_eq!(tasks.run(second::defer(vec![1], "text")).await.unwrap(), 1);
    assert_eq!(tasks.run(third::defer(5, 6)).await.unwrap(), 1);
    assert_eq!((first::QUEUE, second::QUEUE), ("emails", "reports"));
}
