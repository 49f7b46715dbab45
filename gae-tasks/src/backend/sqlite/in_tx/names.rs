//! Names in use, as `name` reads and writes them.

use super::super::name;
use super::statements::{Failed, Statements, Value};
use crate::backend::lifecycle::{self, Holder};
use crate::queue::QueueName;
use crate::task::{Deferred, TaskId, TaskName};
use crate::time::Timestamp;

/// Reserves a name for the task `id`, or returns the answer for its caller if the name is in use.
pub(super) async fn take(
    statements: &mut impl Statements,
    (queue, text): (&QueueName, &TaskName),
    id: TaskId,
    now: Timestamp,
) -> Result<Option<Deferred>, Failed> {
    let holder = holder(statements, queue, text.as_str()).await?;
    if let Some(answer) = lifecycle::refuse_name(holder, id, now) {
        return Ok(Some(answer));
    }
    hold(statements, (queue, text), id, None).await?;
    Ok(None)
}

/// Returns the holder of a name, or of a key in its form among names.
pub(super) async fn holder(
    statements: &mut impl Statements,
    queue: &QueueName,
    text: &str,
) -> Result<Option<Holder>, Failed> {
    let key = [Value::from(queue.as_str()), text.into()];
    let found = statements.read(name::HOLDER, &key).await?.pop().unwrap_or_default();
    let holder = found.blob(0).and_then(|id| id.try_into().ok()).map(TaskId::from_bytes);
    Ok(holder.and_then(|of| match found.integer(1).map(Timestamp::from_micros) {
        Some(until) => Some(Holder::Tombstone { of, until }),
        None => found.is_null(1).then_some(Holder::Task(of)),
    }))
}

/// Writes the holder of a name: a task, or until `until` a task that is over.
pub(super) async fn hold(
    statements: &mut impl Statements,
    (queue, text): (&QueueName, &TaskName),
    id: TaskId,
    until: Option<Timestamp>,
) -> Result<(), Failed> {
    let values = [
        Value::from(queue.as_str()),
        text.as_str().into(),
        id.as_bytes().as_slice().into(),
        until.map(Timestamp::as_micros).into(),
    ];
    statements.run(name::HOLD, &values).await.map(drop)
}
