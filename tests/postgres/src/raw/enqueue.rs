//! Stores tasks: of many callers at once, and many of one caller.

use std::sync::Arc;
use std::time::Instant;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use super::figures::Rate;
use super::rows::{self, Row};

/// A row of a caller that waits until it is committed.
type Call = (Row, oneshot::Sender<()>);

/// Stores `tasks` rows of `callers` concurrent callers, each of which waits for the commit of one
/// row before it stores the next. What is there when a connection is free goes into one statement;
/// there are `connections` of them.
///
/// # Errors
///
/// Those of the database.
pub async fn enqueue_coalesced(
    url: &str,
    callers: usize,
    connections: usize,
    tasks: usize,
) -> Result<Rate, sqlx::Error> {
    let (calls, waiting) = mpsc::channel(callers);
    let waiting = Arc::new(Mutex::new(waiting));
    let mut flushes = JoinSet::new();
    for _ in 0..connections {
        let mut connection = PgConnection::connect(url).await?;
        // Prepares the statement.
        rows::unnest(&mut connection, &[]).await?;
        flushes.spawn(flush(connection, waiting.clone()));
    }
    let began = Instant::now();
    for caller in 0..callers {
        let tasks = tasks / callers + usize::from(caller < tasks % callers);
        tokio::spawn(call(calls.clone(), tasks));
    }
    drop(calls);
    while let Some(flushed) = flushes.join_next().await {
        flushed.expect("no panic inside")?;
    }
    Ok(Rate { tasks, time: began.elapsed() })
}

/// Stores row after row, until the connections are gone.
async fn call(calls: mpsc::Sender<Call>, tasks: usize) {
    for _ in 0..tasks {
        let (committed, is_committed) = oneshot::channel();
        if calls.send((Row::new(), committed)).await.is_err() || is_committed.await.is_err() {
            return;
        }
    }
}

/// Stores what waits, until no caller is left.
async fn flush(
    mut connection: PgConnection,
    waiting: Arc<Mutex<mpsc::Receiver<Call>>>,
) -> Result<(), sqlx::Error> {
    loop {
        let mut calls = Vec::new();
        // One connection waits for callers, the others for it.
        if waiting.lock().await.recv_many(&mut calls, 1_000).await == 0 {
            return connection.close().await;
        }
        let rows: Vec<_> = calls.iter().map(|(row, _)| *row).collect();
        rows::unnest(&mut connection, &rows).await?;
        for (_, committed) in calls {
            // Callers wait, except after an error of the other connection.
            let _ = committed.send(());
        }
    }
}

/// How many rows are sent at once.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Means {
    /// `INSERT .. SELECT FROM unnest(..)`.
    Unnest,
    /// `COPY .. FROM STDIN` in its binary format.
    Copy,
}

/// Stores `tasks` rows of one caller over one connection, committed in chunks.
///
/// # Errors
///
/// Those of the database.
pub async fn insert_many(
    url: &str,
    means: Means,
    chunk: usize,
    tasks: usize,
) -> Result<Rate, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let began = Instant::now();
    for from in (0..tasks).step_by(chunk) {
        let rows: Vec<_> = (from..tasks.min(from + chunk)).map(|_| Row::new()).collect();
        match means {
            Means::Unnest => rows::unnest(&mut connection, &rows).await?,
            Means::Copy => rows::copy(&mut connection, &rows).await?,
        }
    }
    let time = began.elapsed();
    connection.close().await?;
    Ok(Rate { tasks, time })
}
