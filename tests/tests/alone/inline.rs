//! An inline client, which needs the state of every linked task.

use gae_tasks::{Client, deferred};

#[deferred]
async fn note() {}

#[tokio::test]
async fn an_inline_client_runs_no_task_in_an_open_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let client = Client::builder().inline(true);
    let client = client.open(&format!("sqlite:{}", file.display())).await.unwrap();
    let mut application = rusqlite::Connection::open(file).unwrap();
    let tx = application.transaction().unwrap();
    let refused = note::defer().on(&client).in_tx(&tx).unwrap_err();
    assert!(refused.to_string().contains("inline mode"), "{refused}");
}
