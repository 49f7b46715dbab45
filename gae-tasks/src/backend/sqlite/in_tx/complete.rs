//! Completes the running task: its row goes, its lease stays until the attempt is settled.
//!
//! Renewals write the row of the lease, so it is only read here.

use super::super::{held, task};
use super::statements::{Failed, Statements};
use super::{names, unique};
use crate::backend::lifecycle;
use crate::backend::transaction::CompleteInTx;
use crate::queue::{QueueConfig, QueueName};
use crate::task::UniqueKey;
use crate::time::Timestamp;
use crate::version;

const REMOVE: &str = "DELETE FROM gae_tasks_task WHERE id = ?1 RETURNING errors, name";

const CONFIG: &str = "SELECT config FROM gae_tasks_queue WHERE name = ?1";

/// Completes the task of an order.
///
/// # Errors
/// Besides failed statements, the inner error: why the task cannot be completed.
pub(super) async fn complete(
    statements: &mut impl Statements,
    order: &CompleteInTx,
    now: Timestamp,
) -> Result<Result<(), String>, Failed> {
    let CompleteInTx { lease, queue, name, .. } = order;
    let (first, last) = held::rows_of(lease.token);
    let rows = statements.read(held::OF_TOKEN, &[first.into(), last.into()]).await?;
    if !rows.iter().any(|row| row.blob(5).is_some_and(|tasks| held::contains(tasks, lease.id))) {
        let problem = "finds the lease of the task lost, so another worker may run it: roll back \
                       the transaction";
        return Ok(Err(problem.to_owned()));
    }
    let id = lease.id.as_bytes().as_slice();
    let Some(removed) = statements.read(REMOVE, &[id.into()]).await?.pop() else {
        let problem = "finds no task: it is completed already, in this transaction or in one that \
                       has committed";
        return Ok(Err(problem.to_owned()));
    };
    if removed.integer(0) != Some(0) {
        statements.run(task::REMOVE_ERRORS, &[id.into()]).await?;
    }
    if let Some(name) = name {
        let until = tombstone(statements, queue, now).await?;
        names::hold(statements, (queue, name), lease.id, Some(until)).await?;
    }
    if let Some(key) = removed.text(1).and_then(UniqueKey::of_task) {
        let until = tombstone(statements, queue, now).await?;
        unique::free(statements, (queue, key), lease.id, until).await?;
    }
    Ok(Ok(()))
}

/// Returns until when the name or the key of a task that ends at `now` is blocked.
async fn tombstone(
    statements: &mut impl Statements,
    queue: &QueueName,
    now: Timestamp,
) -> Result<Timestamp, Failed> {
    let found = statements.read(CONFIG, &[queue.as_str().into()]).await?.pop();
    let config = match found {
        None => Some(QueueConfig::new()),
        Some(row) => row.blob(0).and_then(|bytes| version::decode(bytes).ok()),
    };
    Ok(lifecycle::tombstone(config.as_ref(), now))
}
