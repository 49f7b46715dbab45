//! A replica follows its primary, and takes over behind one address.

use gae_tasks_tests_postgres::{Cluster, Proxy, Standby};
use sqlx::{Connection, PgConnection};

#[tokio::test]
async fn a_standby_is_read_only_until_it_is_promoted_behind_the_same_address() {
    let primary = Cluster::own().await;
    let database = primary.database().await;
    database.execute("CREATE TABLE rows (n int)").await.unwrap();
    let (standby, proxy) = (Standby::of(&primary).await, Proxy::before(primary.port()).await);
    database.execute("INSERT INTO rows VALUES (1)").await.unwrap();
    standby.caught_up().await;
    primary.stop().await;
    proxy.switch(standby.cluster().port());

    let mut client = PgConnection::connect(&proxy.url(database.name())).await.unwrap();
    let insert = "INSERT INTO rows VALUES (2)";
    let refused = sqlx::query(insert).execute(&mut client).await.unwrap_err();
    let code =
        refused.as_database_error().and_then(|error| error.code()).map(|code| code.to_string());
    assert_eq!(code.as_deref(), Some("25006"), "{refused}");
    standby.promote().await;
    sqlx::query(insert).execute(&mut client).await.unwrap();
    let rows = sqlx::query_scalar("SELECT count(*) FROM rows").fetch_one(&mut client).await;
    assert_eq!(rows.map(|rows: i64| rows).unwrap(), 2);
}
