//! The examples on a Postgres server, started as a user starts them.

use std::process::{Command, Output};

use gae_tasks_tests_postgres::{Cluster, Database};

const BUILD: &str = "run all tests (`cargo test --workspace --all-features`), or build them \
                     before: `cargo build -p gae-tasks-examples --features postgres --examples`";

/// Runs an example, and returns what it wrote.
async fn run(name: &'static str, arguments: &[&str], database: &Database) -> String {
    let this = std::env::current_exe().unwrap();
    let folder = this.ancestors().nth(2).unwrap().join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is not built: {BUILD}", program.display());
    let mut command = Command::new(program);
    command.args(arguments).args(["--url", &database.url()]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let Output { status, stdout, stderr } = output;
    let told = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(!told.contains("--features postgres"), "{name} has no Postgres: {BUILD}");
    assert!(status.success(), "{name}: {told}");
    told
}

#[tokio::test]
async fn an_order_that_is_refused_has_no_mail() {
    let database = Cluster::shared().await.database().await;
    let told = run("orders", &[], &database).await;
    for line in
        ["order 2 of bob: 5 pieces", "no order of cleo: only 1 pieces are left", "3 mails wait"]
    {
        assert!(told.lines().any(|told| told == line), "`{line}` is not in {told}");
    }
    assert_eq!(told.matches("sent: receipt of order").count(), 3, "{told}");
    // The stock is empty, so there are no new orders, and no receipt is sent twice.
    let again = run("orders", &[], &database).await;
    assert!(again.contains("0 mails wait"), "{again}");
    assert_eq!(again.matches("sent: ").count(), 3, "{again}");
}

#[tokio::test]
async fn the_benchmark_measures_a_server() {
    let database = Cluster::shared().await.database().await;
    let told = run("bench", &["--tasks", "501", "--idle", "20"], &database).await;
    for row in ["enqueue", "drain", "end to end", "defer to the handler, idle"] {
        assert!(told.contains(row), "{told}");
    }
    assert!(!told.contains("postgres@"), "it prints who it is: {told}");
}
