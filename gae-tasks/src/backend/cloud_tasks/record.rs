//! Converts a task as Google stores it to a record of this crate.

use std::sync::Arc;
use std::time::SystemTime;

use google_cloud_gax::error::rpc::Code;
use google_cloud_tasks_v2::model::Task;
use google_cloud_tasks_v2::model::task::MessageType;

use super::name::{id_of, last_part};
use super::request::{Mark, is_letter};
use crate::backend::{TaskError, TaskRecord, TaskState};
use crate::envelope::Envelope;
use crate::envelope::letter::Letter;
use crate::log;
use crate::queue::QueueName;
use crate::task::{Route, TaskName, TaskSpec};
use crate::time::Timestamp;

/// The parts of a stored task that are known without its body.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) route: Route,
    pub(super) state: TaskState,
    pub(super) schedule_time: Timestamp,
}

/// Returns the summary of a task; `None` if this crate did not store the task.
pub(super) fn summary(task: &Task) -> Option<Summary> {
    let Mark { shape, kind, .. } = Mark::of_task(task)?;
    Some(Summary {
        route: Route::new(kind, shape),
        state: state(task),
        schedule_time: task.schedule_time.map(moment).unwrap_or_default(),
    })
}

/// Returns the whole record of a task that was read with its body; `None` if another program, or a
/// newer version of this crate, stored the task.
pub(super) fn record(queue: &QueueName, task: &Task) -> Option<TaskRecord> {
    if is_letter(task) {
        return Some(dead(letter_of(task)?, task));
    }
    let envelope = match Envelope::decode(body(task)?) {
        Ok(envelope) => envelope,
        Err(error) => {
            log::say(|| tracing::debug!(task = task.name, %error, "a stored task cannot be shown"));
            return None;
        }
    };
    let name = last_part(&task.name);
    let state = state(task);
    let running = u32::from(state == TaskState::Leased);
    let dispatched = u32::try_from(task.dispatch_count).unwrap_or_default();
    let dispatch =
        |attempt: &google_cloud_tasks_v2::model::Attempt| attempt.dispatch_time.map(moment);
    // If the task has no retry settings of its own, the settings in the envelope are the queue's.
    let retry = envelope.spec.retry.filter(|_| task.retry_config.is_some());
    let spec = TaskSpec {
        id: id_of(queue, name),
        queue: queue.clone(),
        name: TaskName::new(name).ok().filter(|_| envelope.named),
        retry,
        ..envelope.spec
    };
    let copied = envelope.copied.unwrap_or_default();
    let created = task.create_time.map_or(envelope.first_due, moment);
    Some(TaskRecord {
        state,
        schedule_time: task.schedule_time.map_or(envelope.first_due, moment),
        first_attempt: copied.first_attempt.or_else(|| {
            task.first_attempt.as_ref().or(task.last_attempt.as_ref()).and_then(dispatch)
        }),
        attempts: copied.attempts.saturating_add(dispatched.saturating_sub(running)),
        errors: last_error(task, copied.attempts.saturating_add(dispatched)).into_iter().collect(),
        schema: schema(envelope.schema),
        sensitive: Some(envelope.sensitive),
        ..TaskRecord::new(spec, Some(envelope.payload), created)
    })
}

/// Returns the dead letter in a task that was read with its body; `None` if it cannot be read.
pub(super) fn letter_of(task: &Task) -> Option<Letter> {
    match Letter::decode(body(task)?) {
        Ok(letter) => Some(letter),
        Err(error) => {
            log::say(|| tracing::debug!(task = task.name, %error, "a dead letter cannot be shown"));
            None
        }
    }
}

fn dead(letter: Letter, task: &Task) -> TaskRecord {
    let Letter { envelope, attempts, first_attempt, died, error } = letter;
    let Envelope { spec, first_due, payload, schema: of_payload, sensitive, .. } = envelope;
    TaskRecord {
        state: TaskState::Dead,
        schedule_time: first_due,
        first_attempt,
        attempts,
        errors: vec![TaskError::new(attempts, died, error)],
        died: Some(died),
        schema: schema(of_payload),
        sensitive: Some(sensitive),
        ..TaskRecord::new(spec, Some(payload), task.create_time.map_or(died, moment))
    }
}

/// Envelopes of older versions have no schema.
fn schema(schema: Arc<[u8]>) -> Option<Arc<[u8]>> {
    (!schema.is_empty()).then_some(schema)
}

fn body(task: &Task) -> Option<&[u8]> {
    match task.message_type.as_ref()? {
        MessageType::AppEngineHttpRequest(request) => Some(&request.body),
        MessageType::HttpRequest(request) => Some(&request.body),
        _ => None,
    }
}

/// A handler has the task from its dispatch to the answer.
fn state(task: &Task) -> TaskState {
    if is_letter(task) {
        return TaskState::Dead;
    }
    match &task.last_attempt {
        Some(last) if last.dispatch_time.is_some() && last.response_time.is_none() => {
            TaskState::Leased
        }
        _ => TaskState::Scheduled,
    }
}

/// Google remembers the last answer only.
fn last_error(task: &Task, attempt: u32) -> Option<TaskError> {
    let last = task.last_attempt.as_ref()?;
    let status = last.response_status.as_ref().filter(|status| status.code != Code::Ok as i32)?;
    Some(TaskError::new(attempt, moment(last.response_time?), &*status.message))
}

fn moment(at: google_cloud_wkt::Timestamp) -> Timestamp {
    SystemTime::try_from(at).map_or(Timestamp::MAX, Timestamp::from)
}
