//! Databases that cannot be opened: each is one error that names it, and says what to do.

use gae_tasks::Client;
use gae_tasks_tests_postgres::{Cluster, Standby};

use crate::stage::{
    PASSWORD, assert_says, cluster, database, let_work, nothing, of_ann, refused, texts,
};

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
    let_work(&database, "ann").await;
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
