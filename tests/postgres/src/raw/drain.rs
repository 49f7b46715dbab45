//! Claims and deletes tasks until none is left.

use std::time::Instant;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::task::JoinSet;

use super::figures::Rate;
use super::rows;

/// Claims up to `batch` tasks at once and deletes them, on each of `connections` connections,
/// until no task is due. [`fill`](super::fill) stores the tasks before.
///
/// # Errors
///
/// Those of the database.
pub async fn drain(url: &str, connections: usize, batch: u16) -> Result<Rate, sqlx::Error> {
    let mut workers = JoinSet::new();
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(PgConnection::connect(url).await?);
    }
    let began = Instant::now();
    for connection in open {
        workers.spawn(work(connection, batch.into()));
    }
    let mut tasks = 0;
    while let Some(done) = workers.join_next().await {
        tasks += done.expect("no panic inside")?;
    }
    Ok(Rate { tasks, time: began.elapsed() })
}

async fn work(mut connection: PgConnection, batch: i64) -> Result<usize, sqlx::Error> {
    let mut done = 0;
    loop {
        let tasks = rows::claim(&mut connection, batch).await?;
        if tasks.is_empty() {
            return Ok(done);
        }
        rows::delete(&mut connection, &tasks).await?;
        done += tasks.len();
    }
}
