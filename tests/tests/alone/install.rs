//! The default client of the process, of which there is only one.

use gae_tasks::{Client, Error, deferred};

#[deferred]
async fn greet(_: String) {}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_is_installed_and_used_everywhere() {
    let tasks = Client::open("memory:").await.unwrap();
    tasks.install().unwrap();
    assert!(matches!(tasks.install(), Err(Error::AlreadyInstalled)));
    tokio::spawn(async { greet::defer("from a task").await.unwrap() }).await.unwrap();
    std::thread::spawn(|| greet::defer("from a thread").wait().unwrap()).join().unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 2);
}
