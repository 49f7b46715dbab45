//! How long a task takes from its caller to an idle worker.

use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgListener};
use tokio::sync::mpsc;

use super::figures::Times;
use super::rows::{self, PAYLOAD, Row};

/// Measures from the call that stores a task and notifies until its claim is answered, on
/// another connection, which hears of it by `LISTEN`. The worker is idle before each of the
/// `tasks`.
///
/// # Errors
///
/// Those of the database.
pub async fn latency(url: &str, tasks: usize) -> Result<Times, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen("gae_tasks_raw").await?;
    let (claimed, mut claims) = mpsc::channel(1);
    let worker = tokio::spawn(work(PgConnection::connect(url).await?, listener, claimed));
    let mut caller = PgConnection::connect(url).await?;
    let mut times = Vec::new();
    for _ in 0..tasks {
        let began = Instant::now();
        store(&mut caller).await?;
        let Some(claimed) = claims.recv().await else { break };
        times.push(claimed - began);
        // It deletes the task, and waits for the next.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    drop(claims);
    if times.len() < tasks {
        worker.await.expect("no panic inside")?;
    } else {
        worker.abort();
    }
    Ok(Times::new(times))
}

/// Stores a task and notifies the worker, in one transaction and one round trip.
async fn store(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let insert = "WITH stored AS (INSERT INTO gae_tasks_raw.tasks (id, due, payload) \
                                  VALUES ($1, $2, $3)) \
                  SELECT pg_notify('gae_tasks_raw', '')";
    let row = Row::new();
    let insert = sqlx::query(insert).bind(row.id).bind(row.due).bind(PAYLOAD.as_slice());
    insert.execute(connection).await?;
    Ok(())
}

async fn work(
    mut connection: PgConnection,
    mut listener: PgListener,
    claimed: mpsc::Sender<Instant>,
) -> Result<(), sqlx::Error> {
    loop {
        listener.recv().await?;
        let tasks = rows::claim(&mut connection, 100).await?;
        if claimed.send(Instant::now()).await.is_err() {
            return Ok(());
        }
        rows::delete(&mut connection, &tasks).await?;
    }
}
