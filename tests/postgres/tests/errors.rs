//! Bad input: one clear error from the call that meets it, without the password.

use std::error::Error as _;
use std::time::{Duration, Instant};

use gae_tasks::{Client, Error, deferred};
use gae_tasks_tests_postgres::{Cluster, Database, Standby};
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// The password of the role `ann`.
const PASSWORD: &str = "s3cret-of-ann";

#[deferred(queue = "errors")]
async fn nothing() {}

/// A cluster that asks the role `ann` for a password over TCP.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER
        .get_or_init(async || {
            let cluster = Cluster::own().await;
            let rules = "host all ann 127.0.0.1/32 scram-sha-256\nlocal all all trust\nhost all \
                         all 127.0.0.1/32 trust\n";
            let setup = format!(
                "SET password_encryption = 'scram-sha-256'; CREATE ROLE ann LOGIN PASSWORD \
                 '{PASSWORD}'; DO $$ BEGIN EXECUTE format('COPY (SELECT \
                 unnest(string_to_array(%L, E''\\n''))) TO %L', '{rules}', \
                 current_setting('hba_file')); END $$; SELECT pg_reload_conf()"
            );
            cluster.execute("postgres", &setup).await.unwrap();
            cluster
        })
        .await
}

async fn database() -> Database {
    cluster().await.database().await
}

/// Returns the URL of the database for `ann`, with this password.
fn of_ann(database: &Database, password: &str) -> String {
    database.tcp_url().replace("postgres://postgres@", &format!("postgres://ann:{password}@"))
}

/// Returns all that an error says.
fn texts(error: &Error) -> String {
    let mut texts = format!("{error}\n{error:?}\n{error:#?}");
    let mut source = error.source();
    while let Some(inner) = source {
        texts += &format!("\n{inner}\n{inner:?}");
        source = inner.source();
    }
    texts
}

/// Checks that an error says `parts`, and no password.
fn assert_says(error: &Error, parts: &[&str]) {
    println!("{error}\n  {}", error.source().map(ToString::to_string).unwrap_or_default());
    let all = texts(error);
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in `{error}`");
    }
    for secret in [PASSWORD, "another-s3cret"] {
        assert!(!all.contains(secret), "the password is in {all}");
    }
}

/// Opens a client, which fails soon.
async fn refused(url: &str) -> Error {
    let opened = timeout(Duration::from_secs(30), Client::open(url)).await;
    match opened.expect("an answer in time") {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let database = database().await;
    let url = of_ann(&database, PASSWORD);
    let port = cluster().await.port().to_string();
    // Nobody listens on a port of this number.
    let error = refused(&url.replace(&port, "1")).await;
    assert_says(&error, &["127.0.0.1:1", "no server listens there"]);
    let error = refused(&url.replace("127.0.0.1", "nowhere.invalid")).await;
    assert_says(&error, &["nowhere.invalid", "cannot reach"]);
    let socket = database.url().replace("gae-tasks-", "no-folder-");
    assert_says(&refused(&socket).await, &["no-folder-", "no server listens there"]);
}

#[tokio::test]
async fn a_wrong_password_is_refused_without_being_shown() {
    let database = database().await;
    let error = refused(&of_ann(&database, "another-s3cret")).await;
    assert_says(&error, &["ann", "the user or the password"]);
    let none = database.tcp_url().replace("postgres://postgres@", "postgres://ann@");
    assert_says(&refused(&none).await, &["ann", "password"]);
    let unknown = database.tcp_url().replace("postgres@", "nobody-there:another-s3cret@");
    assert_says(&refused(&unknown).await, &["nobody-there", "the user or the password"]);
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let missing = cluster().await.named("no_such_shop");
    let error = refused(&of_ann(&missing, PASSWORD)).await;
    assert_says(&error, &["no_such_shop", "does not exist", "createdb"]);
}

#[tokio::test]
async fn a_role_without_rights_is_told_which_it_needs() {
    let database = database().await;
    // It may not create the schema.
    let error = refused(&of_ann(&database, PASSWORD)).await;
    assert_says(&error, &["may not make them", "GRANT CREATE ON DATABASE", "migrations"]);
    drop(Client::open(&database.url()).await.unwrap());
    // It may not use it.
    let error = refused(&of_ann(&database, PASSWORD)).await;
    assert_says(&error, &["lacks a right", "USAGE"]);
    let grant = "GRANT USAGE ON SCHEMA gae_tasks TO ann; GRANT SELECT ON ALL TABLES IN SCHEMA \
                 gae_tasks TO ann";
    database.execute(grant).await.unwrap();
    // It may not write.
    let opened = Client::open(&of_ann(&database, PASSWORD)).await;
    let error = match opened {
        Ok(tasks) => nothing::defer().on(&tasks).await.unwrap_err(),
        Err(error) => error,
    };
    assert_says(&error, &["lacks a right"]);
}

/// Without rights to create anything, in a schema that is there.
#[tokio::test]
async fn a_role_that_may_only_read_and_write_rows_works() {
    let database = database().await;
    drop(Client::open(&database.url()).await.unwrap());
    let grant = "GRANT USAGE ON SCHEMA gae_tasks TO ann; GRANT SELECT, INSERT, UPDATE, DELETE ON \
                 ALL TABLES IN SCHEMA gae_tasks TO ann";
    database.execute(grant).await.unwrap();
    let tasks = Client::open(&of_ann(&database, PASSWORD)).await.unwrap();
    nothing::defer().on(&tasks).await.unwrap();
    nothing::defer().named("named").on(&tasks).await.unwrap();
    tasks.drain().await.unwrap();
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn a_standby_is_refused() {
    let primary = Cluster::own().await;
    let database = primary.database().await;
    drop(Client::open(&database.url()).await.unwrap());
    let standby = Standby::of(&primary).await;
    standby.caught_up().await;
    let url = standby.cluster().url(database.name());
    assert_says(&refused(&url).await, &["cannot use the database"]);
    let all = texts(&refused(&url).await);
    assert!(all.contains("takes no writes") && all.contains("standby"), "{all}");
}

#[tokio::test]
async fn a_schema_of_another_program_is_left_alone() {
    for tables in [
        "CREATE TABLE gae_tasks.version (number text); INSERT INTO gae_tasks.version VALUES ('7')",
        "CREATE TABLE gae_tasks.task (number text)",
        "CREATE TABLE gae_tasks.version (version bigint, digest bigint); INSERT INTO \
         gae_tasks.version VALUES (1, 7)",
    ] {
        let database = database().await;
        database.execute(&format!("CREATE SCHEMA gae_tasks; {tables}")).await.unwrap();
        let error = refused(&database.url()).await;
        assert_says(&error, &["cannot use the database"]);
        let all = texts(&error);
        assert!(all.contains("another program") && all.contains("?schema="), "{all}");
        let others = "SELECT count(*) FROM pg_tables WHERE schemaname = 'gae_tasks'";
        assert_eq!(database.value::<i64>(others).await.unwrap(), 1, "tables were added");
        // Beside it there is room.
        let beside = format!("{}&schema=tasks", database.url());
        let tasks = Client::open(&beside).await.unwrap();
        nothing::defer().on(&tasks).await.unwrap();
    }
}

#[tokio::test]
async fn a_newer_schema_is_told_from_another_one() {
    let database = database().await;
    drop(Client::open(&database.url()).await.unwrap());
    database.execute("UPDATE gae_tasks.version SET version = version + 1").await.unwrap();
    let error = refused(&database.url()).await;
    let all = texts(&error);
    assert!(all.contains("version 2") && all.contains("update gae-tasks"), "{all}");
}

#[tokio::test]
async fn a_statement_timeout_is_named_and_stores_nothing() {
    let database = database().await;
    let role = format!("hasty_{}", database.name());
    let create = format!(
        "CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{PASSWORD}'; ALTER ROLE {role} SET \
         statement_timeout = '300ms'"
    );
    database.execute(&create).await.unwrap();
    let url = database.tcp_url().replace("postgres@", &format!("{role}:{PASSWORD}@"));
    let tasks = Client::open(&url).await.unwrap();
    nothing::defer().on(&tasks).await.unwrap();
    let mut other = database.connect().await.unwrap();
    let lock = "BEGIN; LOCK TABLE gae_tasks.task IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
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

#[tokio::test]
async fn a_server_without_connections_left_says_so() {
    let database = database().await;
    let role = format!("many_{}", database.name());
    drop(Client::open(&database.url()).await.unwrap());
    let create = format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 1; GRANT USAGE ON SCHEMA \
         gae_tasks TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA gae_tasks TO {role}"
    );
    database.execute(&create).await.unwrap();
    let url = database.tcp_url().replace("postgres@", &format!("{role}:{PASSWORD}@"));
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let only = <sqlx::PgConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
    let begun = Instant::now();
    let error = refused(&url).await;
    assert_says(&error, &["no connection left", "max_connections"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    sqlx::Connection::close(only).await.unwrap();
}

#[tokio::test]
async fn a_server_that_restarts_is_one_error_at_most_and_then_works() {
    let cluster = Cluster::own().await;
    let database = cluster.database().await;
    let tasks = Client::open(&database.url()).await.unwrap();
    nothing::defer().on(&tasks).await.unwrap();
    cluster.restart().await;
    let first = nothing::defer().on(&tasks).await;
    let second = nothing::defer().on(&tasks).await;
    assert!(second.is_ok(), "{second:?}");
    let stored = 2 + u64::from(first.is_ok());
    if let Err(error) = first {
        assert_says(&error, &["the database"]);
    }
    assert_eq!(tasks.stats().await.unwrap().open(), stored);
    cluster.stop().await;
    let begun = Instant::now();
    let error = nothing::defer().on(&tasks).await.unwrap_err();
    println!("after {:?}", begun.elapsed());
    assert_says(&error, &["the database"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    cluster.start().await;
    let begun = Instant::now();
    while let Err(error) = nothing::defer().on(&tasks).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
    }
    assert_eq!(tasks.stats().await.unwrap().open(), stored + 1);
}
