//! What else there is in the database, or is not: all goes on as ever.

use gae_tasks::backend::postgres::Postgres;
use gae_tasks_tests_postgres::Cluster;

use crate::life::all_that_can_happen;

#[tokio::test]
async fn the_tables_and_migrations_of_an_application_stay_as_they_are() {
    let database = Cluster::shared().await.database().await;
    // Some are named like ours.
    let application = "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY); INSERT INTO \
                       _sqlx_migrations VALUES (1); CREATE TABLE task (id int PRIMARY KEY); \
                       CREATE TABLE waiting (id int PRIMARY KEY); CREATE TABLE lease (id int); \
                       CREATE TABLE name (id int); CREATE TABLE queue (id int); CREATE TABLE \
                       version (id int)";
    database.execute(application).await.unwrap();
    let tables = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE \
                  schemaname NOT IN ('gae_tasks', 'pg_catalog', 'information_schema')";
    let before: String = database.value(tables).await.unwrap();
    all_that_can_happen(&database.url(), &database.url()).await;
    assert_eq!(database.value::<String>(tables).await.unwrap(), before);
    let rows = "SELECT (SELECT count(*) FROM _sqlx_migrations) - 1 + (SELECT count(*) FROM task) + \
                (SELECT count(*) FROM waiting) + (SELECT count(*) FROM lease) + (SELECT count(*) \
                FROM name) + (SELECT count(*) FROM queue) + (SELECT count(*) FROM version)";
    assert_eq!(database.value::<i64>(rows).await.unwrap(), 0);
}

/// No statement names the default schema.
#[tokio::test]
async fn all_can_happen_in_another_schema() {
    let database = Cluster::shared().await.database().await;
    let url = format!("{}&schema=jobs", database.url());
    all_that_can_happen(&url, &database.url()).await;
    let others = "SELECT count(*) FROM pg_namespace WHERE nspname = 'gae_tasks'";
    assert_eq!(database.value::<i64>(others).await.unwrap(), 0);
}

#[tokio::test]
async fn all_can_happen_to_a_role_that_may_only_read_and_write_rows() {
    let database = Cluster::shared().await.database().await;
    drop(Postgres::open(&database.url()).await.unwrap());
    let role = format!("rows_{}", database.name());
    let grant = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA gae_tasks TO {role}; GRANT SELECT, \
         INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA gae_tasks TO {role}"
    );
    database.execute(&grant).await.unwrap();
    let url = database.url().replace("postgres@", &format!("{role}@"));
    all_that_can_happen(&url, &url).await;
    let may_create = format!(
        "SELECT has_database_privilege('{role}', current_database(), 'CREATE') OR \
         has_schema_privilege('{role}', 'gae_tasks', 'CREATE')"
    );
    assert!(!database.value::<bool>(&may_create).await.unwrap());
}

/// A publication refuses changes of rows that it could not tell apart.
#[tokio::test]
async fn all_can_happen_under_a_publication_for_all_tables() {
    let cluster = Cluster::with(&[("wal_level", "logical")]).await;
    let database = cluster.database().await;
    let publish = "CREATE PUBLICATION everything FOR ALL TABLES; CREATE TABLE keyless (n int); \
                   INSERT INTO keyless VALUES (1)";
    database.execute(publish).await.unwrap();
    let refused = database.execute("UPDATE keyless SET n = 2").await.unwrap_err();
    assert!(refused.to_string().contains("replica identity"), "{refused}");
    all_that_can_happen(&database.url(), &database.url()).await;
    let published = "FROM pg_publication_tables WHERE pubname = 'everything' AND schemaname = \
                     'gae_tasks'";
    let count = format!("SELECT count(*) {published}");
    assert!(database.value::<i64>(&count).await.unwrap() >= 8);
    let without_key = format!(
        "SELECT coalesce(string_agg(tablename, ' '), '') {published} AND NOT EXISTS (SELECT FROM \
         pg_index WHERE indisprimary AND indrelid = format('%I.%I', schemaname, \
         tablename)::regclass)"
    );
    assert_eq!(database.value::<String>(&without_key).await.unwrap(), "");
}
