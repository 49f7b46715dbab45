//! The conformance suite: each case has a database of its own.

use gae_tasks::backend::postgres::Postgres;
use gae_tasks_tests_postgres::Cluster;

gae_tasks::conformance!(postgres, {
    let database = Cluster::shared().await.database().await;
    let backend = Postgres::open(&database.url()).await.expect("a fresh database opens");
    (backend, database)
});
