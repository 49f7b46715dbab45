//! Opening databases, and what is said about those that cannot be opened.

use std::sync::Arc;

use gae_tasks::backend::postgres::{Postgres, migrations};
use gae_tasks_tests_postgres::{Cluster, Standby};
use tokio::task::JoinSet;

use crate::tasks::{store_one, stored, task, text};

async fn refused(url: &str) -> String {
    text(&Postgres::open(url).await.map(drop).expect_err("it does not open"))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_open_a_fresh_database_at_once() {
    let database = Cluster::shared().await.database().await;
    let (url, mut opening) = (Arc::new(database.url()), JoinSet::new());
    for _ in 0..8 {
        let url = Arc::clone(&url);
        opening.spawn(async move {
            let backend = Postgres::open(&url).await.expect("it opens");
            store_one(&backend, task()).await.expect("it is stored");
        });
    }
    opening.join_all().await;
    assert_eq!(stored(&database).await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_told_apart() {
    let cluster = Cluster::shared().await;
    let port = cluster.port();
    let nobody = refused("postgres://postgres@127.0.0.1:1/shop").await;
    assert!(nobody.contains("`shop` at 127.0.0.1:1") && nobody.contains("no server"), "{nobody}");
    let missing = refused(&cluster.tcp_url("missing")).await;
    assert!(missing.contains("does not exist; create it"), "{missing}");
    let stranger = refused(&format!("postgres://nobody:secret@127.0.0.1:{port}/postgres")).await;
    assert!(stranger.contains("check them"), "{stranger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_needs_the_tables_only() {
    let cluster = Cluster::shared().await;
    let database = cluster.database().await;
    database.execute("CREATE ROLE plain LOGIN").await.expect("the server answers");
    let url = database.tcp_url().replace("postgres@", "plain@");
    let text = refused(&url).await;
    let grant = format!("GRANT CREATE ON DATABASE \"{}\" TO \"plain\"", database.name());
    assert!(text.contains(&grant) && text.contains("migrations(..)"), "{text}");
    let statements = migrations("gae_tasks").expect("the schema has a valid name");
    let grants = "GRANT USAGE ON SCHEMA gae_tasks TO plain; GRANT SELECT, INSERT, UPDATE, DELETE \
                  ON ALL TABLES IN SCHEMA gae_tasks TO plain";
    database.execute(&format!("{statements} {grants}")).await.expect("the statements run");
    let backend = Postgres::open(&url).await.expect("it opens");
    store_one(&backend, task()).await.expect("it is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_owns_the_schema_makes_the_tables() {
    let cluster = Cluster::shared().await;
    let database = cluster.database().await;
    let make = "CREATE ROLE owner LOGIN; CREATE SCHEMA gae_tasks AUTHORIZATION owner";
    database.execute(make).await.expect("the server answers");
    let url = database.tcp_url().replace("postgres@", "owner@");
    let backend = Postgres::open(&url).await.expect("it opens");
    store_one(&backend, task()).await.expect("it is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_others_are_left_alone() {
    let database = Cluster::shared().await.database().await;
    let make = "CREATE SCHEMA gae_tasks; CREATE TABLE gae_tasks.task (x int)";
    database.execute(make).await.expect("the server answers");
    assert!(refused(&database.url()).await.contains("of another program"));
    let elsewhere = format!("{}&schema=jobs", database.url());
    let backend = Postgres::open(&elsewhere).await.expect("it opens");
    store_one(&backend, task()).await.expect("it is stored");
    let newer = "UPDATE jobs.version SET version = 99";
    database.execute(newer).await.expect("the server answers");
    let newer = refused(&elsewhere).await;
    assert!(newer.contains("of version 99") && newer.contains("update gae-tasks"), "{newer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_told_so() {
    let database = Cluster::shared().await.database().await;
    let url = format!("{}&options=-cstatement_timeout%3D200", database.url());
    let backend = Postgres::open(&url).await.expect("it opens");
    store_one(&backend, task()).await.expect("it is stored");
    let mut holder = database.connect().await.expect("the server answers");
    let lock = "BEGIN; LOCK TABLE gae_tasks.task";
    sqlx::raw_sql(lock).execute(&mut holder).await.expect("the lock is free");
    let error = store_one(&backend, task()).await.expect_err("the table is locked");
    assert!(text(&error).contains("`statement_timeout`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_refused_and_a_failover_is_followed() {
    let cluster = Cluster::own().await;
    let (database, standby) = (cluster.database().await, Standby::of(&cluster).await);
    let opened = Postgres::open(&database.tcp_url()).await.expect("it opens");
    store_one(&opened, task()).await.expect("it is stored");
    standby.caught_up().await;
    let text = refused(&standby.cluster().tcp_url(database.name())).await;
    assert!(text.contains("takes no writes"), "{text}");
    let proxy = gae_tasks_tests_postgres::Proxy::before(cluster.port()).await;
    let backend = Postgres::open(&proxy.url(database.name())).await.expect("it opens");
    store_one(&backend, task()).await.expect("it is stored");
    standby.caught_up().await;
    // The name leads to the standby before that has taken over.
    proxy.switch(standby.cluster().port());
    proxy.cut();
    let storing = tokio::spawn(async move { store_one(&backend, task()).await });
    standby.promote().await;
    storing
        .await
        .expect("it does not panic")
        .expect("it is stored once the standby has taken over");
    assert_eq!(stored(&standby.cluster().named(database.name())).await, 3);
}
