//! The proxy does what it is told to the connections through it, and nothing else.

use std::time::Duration;

use gae_tasks_tests_postgres::proxy::is_commit;
use gae_tasks_tests_postgres::{Cluster, Database, Proxy};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

async fn table() -> (Database, Proxy) {
    let cluster = Cluster::shared().await;
    let (database, proxy) = (cluster.database().await, Proxy::before(cluster.port()).await);
    database.execute("CREATE TABLE rows (n int)").await.unwrap();
    (database, proxy)
}

async fn connect(database: &Database, proxy: &Proxy) -> PgConnection {
    PgConnection::connect(&proxy.url(database.name())).await.unwrap()
}

async fn rows(database: &Database) -> i64 {
    database.value("SELECT count(*) FROM rows").await.unwrap()
}

/// Commits one row.
fn insert(mut client: PgConnection) -> JoinHandle<Result<PgConnection, sqlx::Error>> {
    tokio::spawn(async move {
        let mut transaction = client.begin().await?;
        sqlx::query("INSERT INTO rows VALUES (1)").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(client)
    })
}

#[tokio::test]
async fn the_answer_to_a_commit_is_withheld_and_released() {
    let (database, proxy) = table().await;
    let withheld = proxy.withhold(is_commit);
    let commit = insert(connect(&database, &proxy).await);
    withheld.answered().await;
    assert_eq!(rows(&database).await, 1, "the server has not got the COMMIT");
    // Other connections pass meanwhile.
    insert(connect(&database, &proxy).await).await.unwrap().unwrap();
    assert!(!commit.is_finished(), "the client has got the answer");
    withheld.release();
    let client = commit.await.unwrap().unwrap();
    insert(client).await.unwrap().unwrap();
    assert_eq!(rows(&database).await, 3);
}

#[tokio::test]
async fn an_answer_is_lost_after_the_commit() {
    let (database, proxy) = table().await;
    let withheld = proxy.withhold(is_commit);
    let commit = insert(connect(&database, &proxy).await);
    withheld.answered().await;
    withheld.cut();
    commit.await.unwrap().unwrap_err();
    assert_eq!(rows(&database).await, 1);
}

#[tokio::test]
async fn a_connection_is_cut_in_the_middle_of_an_answer() {
    let (database, proxy) = table().await;
    let cut = proxy.cut_answer(is_commit);
    let commit = insert(connect(&database, &proxy).await);
    cut.answered().await;
    commit.await.unwrap().unwrap_err();
    assert_eq!(rows(&database).await, 1);
}

#[tokio::test]
async fn all_connections_are_cut_and_new_ones_refused_until_they_are_accepted() {
    let (database, proxy) = table().await;
    let client = connect(&database, &proxy).await;
    proxy.refuse().await;
    let client = insert(client).await.unwrap().unwrap();
    PgConnection::connect(&proxy.url(database.name())).await.unwrap_err();
    proxy.cut();
    insert(client).await.unwrap().unwrap_err();
    proxy.accept().await;
    insert(connect(&database, &proxy).await).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_stalls_goes_on_when_it_is_resumed() {
    let (database, proxy) = table().await;
    let client = connect(&database, &proxy).await;
    proxy.stall();
    let mut commit = insert(client);
    // Nothing tells that nothing happens.
    tokio::time::timeout(Duration::from_millis(100), &mut commit).await.unwrap_err();
    proxy.resume();
    commit.await.unwrap().unwrap();
}
