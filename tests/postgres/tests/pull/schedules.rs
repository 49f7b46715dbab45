//! Several processes tick the schedules of one database.

use gae_tasks_tests::ticks::race;
use gae_tasks_tests_postgres::Cluster;

#[tokio::test]
async fn four_processes_make_each_tick_once_though_they_are_killed_and_their_clocks_are_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Cluster::shared().await.database().await;
    race(env!("CARGO_BIN_EXE_postgres-ticks"), &database.url(), folder.path(), 15).await;
}
