//! Recovers from a killed worker in a program with the newest `rusqlite`.

#[path = "../life.rs"]
mod life;

use life::{Folder, Result, be_killed, check, kill_a_worker, run_the_rest};

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(file) = std::env::args().nth(1) {
        return be_killed(&file).await;
    }
    let folder = Folder::new()?;
    kill_a_worker(&folder.file())?;
    let connection = rusqlite::Connection::open(folder.file())?;
    let tasks: i64 = connection.query_row("SELECT count(*) FROM gae_tasks_task", [], |row| row.get(0))?;
    check(tasks == 40, &format!("the file holds {tasks} tasks"))?;
    run_the_rest(&folder.file()).await?;
    println!("ok, with SQLite {}", rusqlite::version());
    Ok(())
}
