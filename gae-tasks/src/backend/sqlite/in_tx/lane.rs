//! The lane of a task, created if it is missing, with its queue, its schema and its sensitive
//! paths.

use super::statements::{Failed, Statements, Value};
use crate::backend::NewTask;
use crate::queue::QueueConfig;
use crate::version;

/// Finds the lane, and whether its queue and the schema of its shape are stored and readable.
const FIND: &str = "SELECT (SELECT id FROM gae_tasks_lane WHERE queue = ?1 AND kind = ?2 AND shape \
                    = ?3 AND version = ?4 AND refusers = x''), \
                    EXISTS (SELECT 1 FROM gae_tasks_queue WHERE name = ?1), \
                    EXISTS (SELECT 1 FROM gae_tasks_schemas WHERE shape = ?3 AND typeof(schema) = 'blob')";

const KEEP_SCHEMA: &str = "INSERT INTO gae_tasks_schemas (shape, schema) VALUES (?1, ?2) ON \
                           CONFLICT (shape) \
                           DO UPDATE SET schema = excluded.schema WHERE typeof(schema) <> 'blob'";

const KEEP_PATH: &str =
    "INSERT INTO gae_tasks_sensitive (kind, path) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

const MAKE_QUEUE: &str =
    "INSERT INTO gae_tasks_queue (name, config, paused) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING";

const MAKE: &str = "INSERT INTO gae_tasks_lane (id, queue, kind, shape, version, refusers, turn) \
                    SELECT next, ?1, ?2, ?3, ?4, x'', \
                    coalesce((SELECT min(turn) FROM gae_tasks_lane WHERE queue = ?1), next) \
                    FROM (SELECT coalesce(max(id), 0) + 1 AS next FROM gae_tasks_lane) \
                    WHERE true ON CONFLICT DO NOTHING";

/// Returns the number of the lane of `task`.
pub(super) async fn of(statements: &mut impl Statements, task: &NewTask) -> Result<i64, Failed> {
    let spec = &task.spec;
    let shape = spec.shape.to_bits().cast_signed();
    let lane = [
        Value::from(spec.queue.as_str()),
        spec.kind.as_str().into(),
        shape.into(),
        i64::from(spec.version()).into(),
    ];
    for path in &*task.sensitive {
        statements.run(KEEP_PATH, &[spec.kind.as_str().into(), (&**path).into()]).await?;
    }
    let found = statements.read(FIND, &lane).await?.pop().unwrap_or_default();
    let (has_queue, has_schema) = (found.integer(1) == Some(1), found.integer(2) == Some(1));
    if !has_schema && !task.schema.is_empty() {
        statements.run(KEEP_SCHEMA, &[shape.into(), (&*task.schema).into()]).await?;
    }
    if !has_queue {
        let config = version::encode(&QueueConfig::new()).unwrap_or_default();
        let values = [spec.queue.as_str().into(), config.as_slice().into()];
        statements.run(MAKE_QUEUE, &values).await?;
    }
    if let Some(id) = found.integer(0) {
        return Ok(id);
    }
    statements.run(MAKE, &lane).await?;
    let made = statements.read(FIND, &lane).await?.pop().unwrap_or_default();
    made.integer(0).ok_or_else(|| Failed::of(None, "the lane of the task cannot be read"))
}
