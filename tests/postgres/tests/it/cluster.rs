//! A cluster stores, ends and comes back.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gae_tasks_tests_postgres::Cluster;

#[tokio::test]
async fn a_committed_row_survives_a_crash() {
    let cluster = Cluster::own().await;
    let database = cluster.database().await;
    database.execute("CREATE TABLE rows (n int); INSERT INTO rows VALUES (1), (2)").await.unwrap();
    let before: String = database.value("SELECT pg_postmaster_start_time()::text").await.unwrap();
    cluster.crash().await;
    let after: String = database.value("SELECT pg_postmaster_start_time()::text").await.unwrap();
    assert_ne!(before, after, "the server was not ended");
    assert_eq!(database.value::<i64>("SELECT count(*) FROM rows").await.unwrap(), 2);
}

#[tokio::test]
async fn a_server_is_reached_again_after_a_restart_through_socket_and_tcp() {
    let cluster = Cluster::own().await;
    let database = cluster.database().await;
    cluster.stop().await;
    assert!(database.connect().await.is_err(), "a stopped server answers");
    cluster.start().await;
    database.execute("SELECT 1").await.unwrap();
    let tcp = sqlx::PgPool::connect(&database.tcp_url()).await.unwrap();
    sqlx::query("SELECT 1").execute(&tcp).await.unwrap();
}

#[tokio::test]
async fn tests_share_a_cluster_and_have_databases_of_their_own() {
    let (one, two) = (Cluster::shared().await, Cluster::shared().await);
    let (mine, yours) = (one.database().await, two.database().await);
    mine.execute("CREATE TABLE here ()").await.unwrap();
    yours.execute("CREATE TABLE here ()").await.unwrap();
    assert_eq!(one.port(), two.port());
}

#[tokio::test]
async fn backends_are_terminated_in_one_database_only() {
    let cluster = Cluster::shared().await;
    let (mine, yours) = (cluster.database().await, cluster.database().await);
    let (mut ends, mut stays) = (mine.connect().await.unwrap(), yours.connect().await.unwrap());
    assert_eq!(mine.terminate_backends().await.unwrap(), 1);
    assert!(sqlx::query("SELECT 1").execute(&mut ends).await.is_err());
    sqlx::query("SELECT 1").execute(&mut stays).await.unwrap();
}

/// The durability that figures are compared at.
#[tokio::test]
async fn commits_are_synced() {
    let database = Cluster::shared().await.named("postgres");
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value: String = database.value(&format!("SHOW {setting}")).await.unwrap();
        assert_eq!(value, "on", "{setting}");
    }
}

#[test]
fn a_killed_program_leaves_neither_a_server_nor_its_data() {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_holder"));
    let mut holder = holder.stdout(Stdio::piped()).spawn().unwrap();
    let mut data = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut data).unwrap();
    let folder = Path::new(data.trim()).parent().unwrap();
    let status = folder.join("data/postmaster.pid");
    let server = std::fs::read_to_string(&status).expect("the server runs");
    let server = format!("/proc/{}/cmdline", server.lines().next().unwrap());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let began = Instant::now();
    // A process that has ended, but that nobody has waited for, has no command line.
    while folder.exists() || std::fs::read(&server).is_ok_and(|line| !line.is_empty()) {
        assert!(began.elapsed() < Duration::from_secs(30), "{} is still there", folder.display());
        thread::sleep(Duration::from_millis(20));
    }
}
