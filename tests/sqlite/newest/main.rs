//! Recovers from a killed worker in a program with the newest `rusqlite`.

#[path = "../life.rs"]
mod life;

use std::path::Path;

use life::{Folder, Result, be_killed, check, kill_a_worker, one_more, open_only, run_the_rest};

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(file) = std::env::args().nth(1) {
        return be_killed(&file).await;
    }
    let folder = Folder::new()?;
    kill_a_worker(&folder.file())?;
    let connection = rusqlite::Connection::open(folder.file())?;
    let count = "SELECT count(*) FROM gae_tasks_task";
    let tasks: i64 = connection.query_row(count, [], |row| row.get(0))?;
    check(tasks == 40, &format!("the file holds {tasks} tasks"))?;
    run_the_rest(&folder.file()).await?;
    store_in_a_transaction(&folder.file(), connection).await?;
    println!("ok, with SQLite {}", rusqlite::version());
    Ok(())
}

/// The transactions of this `rusqlite` are those that the queue accepts.
async fn store_in_a_transaction(file: &Path, mut connection: rusqlite::Connection) -> Result<()> {
    let tasks = open_only(file).await?;
    let mut tx = connection.transaction()?;
    one_more().on(&tasks).in_tx(&tx)?;
    let savepoint = tx.savepoint()?;
    one_more().on(&tasks).in_tx(&savepoint)?;
    drop(savepoint);
    tx.commit()?;
    let open = tasks.stats().await?.open();
    check(open == 1, &format!("{open} tasks were stored in a transaction"))
}
