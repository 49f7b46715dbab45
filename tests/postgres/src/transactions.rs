//! Tasks whose business data is in the same Postgres database.

use std::time::Duration;

use gae_tasks::{BoxError, PermanentTaskFailure, TaskContext, deferred};
use sqlx::PgPool;

/// The tables of the application.
pub const TABLES: &str = "CREATE TABLE orders (task uuid NOT NULL PRIMARY KEY); \
                          CREATE TABLE effects (task uuid NOT NULL, process bigint NOT NULL)";

/// A task of an order, stored with it.
#[deferred(queue = "orders")]
pub async fn ship(order: u64) {
    _ = order;
}

/// Writes a row and completes the task in one transaction, and then returns whatever `ends` says.
#[deferred(queue = "effects", min_backoff = "10ms", max_backoff = "100ms")]
pub async fn effect(
    ends: u8,
    millis: u64,
    #[state] pool: &PgPool,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    let pause = || tokio::time::sleep(Duration::from_millis(millis));
    let is_serial = ends.is_multiple_of(2);
    let begin = if is_serial { "BEGIN ISOLATION LEVEL REPEATABLE READ" } else { "BEGIN" };
    let mut tx = pool.begin_with(begin).await?;
    sqlx::query("INSERT INTO effects (task, process) VALUES ($1, $2)")
        .bind(uuid::Uuid::from_bytes(*cx.id().as_bytes()))
        .bind(i64::from(std::process::id()))
        .execute(&mut *tx)
        .await?;
    pause().await;
    cx.complete_in(&mut tx).await?;
    pause().await;
    if ends == 0 && cx.attempt() == 1 {
        // The transaction is dropped, and so rolled back.
        return Ok(());
    }
    tx.commit().await?;
    pause().await;
    match ends {
        1 => Err("after the commit".into()),
        2 => Err(PermanentTaskFailure::new("after the commit").into()),
        _ => Ok(()),
    }
}
