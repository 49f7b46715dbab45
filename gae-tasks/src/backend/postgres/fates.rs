//! Wakes workers when transactions of the application have committed.
//!
//! Nothing is sent within such a transaction: a NOTIFY would serialize its commit with all others.
//! Its number is remembered instead, and its fate asked for on a connection of this crate's own. If
//! this process dies, the slow poll of the workers finds the task.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::error::Fault;
use super::limit::within;
use super::shared::Shared;

/// The first pause between two questions; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(1);

/// The longest pause between two questions.
const LONGEST: Duration = Duration::from_millis(100);

/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The SQLSTATE of a transaction's number that the server has not given yet.
const OF_THE_FUTURE: &str = "22023";

/// Wakes workers once the transaction with this number has committed.
pub(super) fn wake_after(shared: &Arc<Shared>, runtime: &Handle, transaction: u64) {
    if shared.committed.add(transaction) {
        runtime.spawn(watch(Arc::clone(shared)));
    }
}

async fn watch(shared: Arc<Shared>) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(LONGEST),
            () = shared.committed.added() => {
                sleep(FIRST).await;
                pause = FIRST;
            }
        }
        let open = shared.committed.open();
        if open.is_empty() {
            return;
        }
        let ended = match within(PATIENCE, ended(&shared, &open)).await {
            Ok(ended) => ended,
            // A number of the future, which fails the whole question: the server was a standby when
            // it was given. Whatever has committed before is there.
            Err(fault) if fault.code().as_deref() == Some(OF_THE_FUTURE) => {
                open.iter().map(|number| (*number, true)).collect()
            }
            // A database that does not answer is asked again.
            Err(fault) => {
                shared.database.heed(&fault);
                continue;
            }
        };
        // The tasks have had their places since they were stored.
        if let Some(age) = shared.committed.forget(&ended) {
            shared.wake_late(age);
        }
    }
}

/// Returns those of these transactions that have ended, and whether each has committed.
async fn ended(shared: &Shared, open: &[u64]) -> Result<Vec<(u64, bool)>, Fault> {
    const FATES: &str =
        "SELECT number, pg_xact_status(number::xid8) FROM unnest($1::text[]) number";
    let numbers: Vec<_> = open.iter().map(u64::to_string).collect();
    let mut connection = shared.database.connection().await?;
    let rows = shared.database.prepared(FATES).bind(numbers).fetch_all(&mut *connection).await?;
    connection.commit().await?;
    let mut ended = Vec::new();
    for row in &rows {
        let (number, fate): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
        if let Ok(number) = number.parse()
            && fate.as_deref() != Some("in progress")
        {
            // A transaction that the database has forgotten may have committed.
            ended.push((number, fate.as_deref() != Some("aborted")));
        }
    }
    Ok(ended)
}
