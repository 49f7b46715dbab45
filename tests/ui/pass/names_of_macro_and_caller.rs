use gae_tasks::{Client, deferred};

macro_rules! task {
    ($name:ident, $parameter:ident) => {
        #[deferred]
        async fn $name($parameter: u64, #[state] db: &u8) {
            assert_eq!(($parameter, *db), (5, 2));
        }
    };
}

// Two parameters named `db`, which the compiler distinguishes.
task!(first, db);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::builder().state(2_u8).open("memory:").await.unwrap();
    assert_eq!(tasks.run(first::defer(5)).await.unwrap(), 1);
}
