//! A program that holds a cluster until it is killed, and prints the folder of its server.

use std::future::pending;

use gae_tasks_tests_postgres::Cluster;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let data: String = Cluster::shared()
        .await
        .named("postgres")
        .value("SELECT current_setting('data_directory')")
        .await
        .expect("a server that has just started answers");
    println!("{data}");
    pending::<()>().await;
}
