use gae_tasks::testing::assert_deferred;
use gae_tasks::{Client, deferred};
use serde::{Deserialize, Serialize};

// Not `Debug`, which is not required.
#[derive(Serialize, Deserialize)]
struct Secret(u8);

#[deferred]
async fn work(id: u64, secret: Secret, name: String) {
    println!("{id} {} {name}", secret.0);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    work::defer(5, Secret(6), "a").on(&tasks).await.unwrap();
    assert_deferred!(tasks, work, |args| args.secret.0 == 6);
    let found = gae_tasks::testing::matching::<work>(&tasks, |args| args.id == 7).to_string();
    assert!(found.contains(r#"WorkArgs { id: 5, secret: .., name: "a" }"#), "{found}");
}
