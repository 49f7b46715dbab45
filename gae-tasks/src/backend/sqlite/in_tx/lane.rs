//! The lane of a task, created if it is missing, with its queue, its schema and its sensitive
//! paths.

use super::super::catalogue::{MAKE_LANE, PUT_QUEUE};
use super::super::{schemas, sensitive};
use super::statements::{Failed, Statements, Value};
use crate::backend::NewTask;
use crate::queue::QueueConfig;
use crate::version;

/// Finds the lane, and whether its queue and this schema of its shape are stored.
const FIND: &str = "SELECT (SELECT id FROM gae_tasks_lane WHERE queue = ?1 AND kind = ?2 AND shape \
                    = ?3 AND version = ?4 AND refusers = x'' AND priority = ?6 AND forced = 0), \
                    EXISTS (SELECT 1 FROM gae_tasks_queue WHERE name = ?1), \
                    EXISTS (SELECT 1 FROM gae_tasks_schemas WHERE shape = ?3 AND schema = ?5)";

/// Returns the number of the lane of `task`.
pub(super) async fn of(statements: &mut impl Statements, task: &NewTask) -> Result<i64, Failed> {
    let spec = &task.spec;
    let shape = spec.shape.to_bits().cast_signed();
    let lane = |last| {
        let (kind, version) = (Value::from(spec.kind.as_str()), i64::from(spec.version()));
        let priority = i64::from(spec.priority);
        [spec.queue.as_str().into(), kind, shape.into(), version.into(), last, priority.into()]
    };
    for path in &*task.sensitive {
        statements.run(sensitive::KEEP, &[spec.kind.as_str().into(), (&**path).into()]).await?;
    }
    let schema = Value::from(&*task.schema);
    let found = statements.read(FIND, &lane(schema)).await?.pop().unwrap_or_default();
    let (has_queue, has_schema) = (found.integer(1) == Some(1), found.integer(2) == Some(1));
    if !has_schema && spec.shape.may_be_of(&task.schema) {
        statements.run(schemas::KEEP, &[shape.into(), schema]).await?;
    }
    if !has_queue {
        let config = version::encode(&QueueConfig::new()).unwrap_or_default();
        let is_paused = Value::Integer(0);
        let values = [spec.queue.as_str().into(), config.as_slice().into(), is_paused];
        statements.run(PUT_QUEUE, &values).await?;
    }
    if let Some(id) = found.integer(0) {
        return Ok(id);
    }
    // Nobody has refused its tasks, or made them due.
    let [queue, kind, shape, version, refusers, priority] = lane(Value::Blob(&[]));
    let values = [queue, kind, shape, version, refusers, priority, Value::Integer(0)];
    let made = statements.read(MAKE_LANE, &values).await?.pop().unwrap_or_default();
    made.integer(0).ok_or_else(|| Failed::of(None, "the lane of the task cannot be read"))
}
