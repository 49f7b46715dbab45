//! The pooler shares two connections among its clients.

use gae_tasks_tests_postgres::{Cluster, Pooler};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

#[tokio::test]
async fn three_clients_share_two_connections_a_transaction_each() {
    let cluster = Cluster::shared().await;
    let (database, pooler) = (cluster.database().await, Pooler::before(cluster).await);
    let options: PgConnectOptions = pooler.url(database.name()).parse().unwrap();
    let options = options.extra_float_digits(None).statement_cache_capacity(0);
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = PgConnection::connect_with(&options).await.unwrap();
        let mut transaction = client.begin().await.unwrap();
        let server = sqlx::query_scalar("SELECT pg_backend_pid()").persistent(false);
        let server: i32 = server.fetch_one(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        servers.push(server);
        clients.push(client);
    }
    servers.sort_unstable();
    servers.dedup();
    assert!(servers.len() <= 2, "{servers:?}");
}
