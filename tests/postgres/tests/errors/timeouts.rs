//! Time limits that the role of the URL is set to.

use std::time::{Duration, Instant};

use gae_tasks::Client;
use gae_tasks_tests_postgres::proxy::statement;
use gae_tasks_tests_postgres::{Database, Proxy};

use crate::stage::{assert_says, cluster, database, lock, nothing, role, until};

#[tokio::test]
async fn a_statement_timeout_is_named_and_stores_nothing() {
    let database = database().await;
    let (_, url) = limited(&database, "statement_timeout = '300ms'").await;
    let tasks = Client::open(&url).await.unwrap();
    nothing::defer().on(&tasks).await.unwrap();
    let other = lock(&database).await;
    let begun = Instant::now();
    let error = nothing::defer().on(&tasks).await.unwrap_err();
    assert_says(&error, &["statement_timeout"]);
    let error = tasks.stats().await.unwrap_err();
    assert_says(&error, &["statement_timeout"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(other);
    let begun = Instant::now();
    while nothing::defer().on(&tasks).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the lock is gone");
    }
    assert_eq!(tasks.stats().await.unwrap().open(), 2, "what failed was stored");
}

/// The answer to `BEGIN` is late, and the server has ended the session by then.
#[tokio::test]
async fn a_transaction_that_the_server_ends_for_its_idleness_is_begun_again() {
    let database = database().await;
    let (role, url) = limited(&database, "idle_in_transaction_session_timeout = '300ms'").await;
    let server = cluster().await.port();
    let proxy = Proxy::before(server).await;
    let url = url.replace(&format!(":{server}/"), &format!(":{}/", proxy.port()));
    let tasks = Client::open(&url).await.unwrap();
    nothing::defer().on(&tasks).await.unwrap();
    // The transaction that is kept open for another caller has ended.
    until_gone(&database, &role, "AND state LIKE 'idle in transaction%'").await;
    let late = proxy.withhold(|message| {
        statement(message).is_some_and(|statement| statement.starts_with("BEGIN"))
    });
    let storing = tokio::spawn({
        let tasks = tasks.clone();
        async move { nothing::defer().on(&tasks).await }
    });
    late.answered().await;
    until_gone(&database, &role, "AND state LIKE 'idle in transaction%'").await;
    late.release();
    storing.await.unwrap().unwrap();
    assert_eq!(tasks.stats().await.unwrap().open(), 2);
}

#[tokio::test]
async fn callers_do_not_hear_of_sessions_that_the_server_ends_for_their_idleness() {
    let database = database().await;
    let (role, url) = limited(&database, "idle_session_timeout = '500ms'").await;
    let tasks = Client::open(&url).await.unwrap();
    for stored in 1..4 {
        nothing::defer().on(&tasks).await.unwrap();
        until_gone(&database, &role, "").await;
        assert_eq!(tasks.stats().await.unwrap().open(), stored);
        until_gone(&database, &role, "").await;
    }
    nothing::defer().named("n").on(&tasks).await.unwrap();
    until_gone(&database, &role, "").await;
    assert_eq!(tasks.drain().await.unwrap(), 4);
}

/// Makes a role with this setting. Returns its name, and the URL of the database for it.
async fn limited(database: &Database, setting: &str) -> (String, String) {
    let (role, url) = role(database, "").await;
    database.execute(&format!("ALTER ROLE {role} SET {setting}")).await.unwrap();
    (role, url)
}

/// Waits until the role has no sessions, or none of this sort.
async fn until_gone(database: &Database, role: &str, of: &str) {
    let gone = format!("SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = '{role}' {of}");
    until("the end of sessions", async || database.value::<bool>(&gone).await.unwrap()).await;
}
