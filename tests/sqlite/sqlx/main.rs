//! Recovers from a killed worker while `sqlx` writes to the same file.

#[path = "../life.rs"]
mod life;

use std::path::Path;

use life::{Folder, Result, be_killed, check, kill_a_worker, one_more, open_only, run_the_rest};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(file) = std::env::args().nth(1) {
        return be_killed(&file).await;
    }
    let folder = Folder::new()?;
    let file = folder.file();
    kill_a_worker(&file)?;
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file)).await?;
    let count = sqlx::query_scalar("SELECT count(*) FROM gae_tasks_task");
    let tasks: i64 = count.fetch_one(&pool).await?;
    check(tasks == 40, &format!("the file holds {tasks} tasks"))?;
    let (ran, wrote) = tokio::join!(run_the_rest(&file), write(&pool));
    ran?;
    wrote?;
    store_in_a_transaction(&file, &pool).await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&pool).await?;
    pool.close().await;
    println!("ok, with SQLite {version}");
    Ok(())
}

/// Writes a table of the program.
async fn write(pool: &SqlitePool) -> Result<()> {
    sqlx::query("CREATE TABLE orders (number INTEGER PRIMARY KEY)").execute(pool).await?;
    for number in 0..20 {
        sqlx::query("INSERT INTO orders VALUES (?1)").bind(number).execute(pool).await?;
    }
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(pool).await?;
    check(orders == 20, &format!("{orders} orders"))
}

/// A row of the program and a task commit together.
async fn store_in_a_transaction(file: &Path, pool: &SqlitePool) -> Result<()> {
    let tasks = open_only(file).await?;
    for number in 20..24 {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("INSERT INTO orders VALUES (?1)").bind(number).execute(&mut *tx).await?;
        one_more().on(&tasks).in_tx(&mut tx).await?;
        if number % 2 == 0 { tx.commit().await? } else { tx.rollback().await? }
    }
    let open = tasks.stats().await?.open();
    check(open == 2, &format!("{open} tasks were stored in transactions"))
}
