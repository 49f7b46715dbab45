//! The state of the server: queues, their tasks, and blocked names.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::retry::Retry;

/// The time for which a task's name stays blocked after the task's end.
const TOMBSTONE: Duration = Duration::from_secs(24 * 60 * 60);

/// The time for which the name of a deleted queue stays blocked.
const QUEUE_TOMBSTONE: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// All queues and blocked names, by full names.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queues: BTreeMap<String, Queue>,
    /// The names of ended tasks and deleted queues, with the ends of their blocks.
    tombstones: HashMap<String, SystemTime>,
}

/// A queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) paused: bool,
    pub(super) max_dispatches_per_second: Option<f64>,
    pub(super) max_concurrent_dispatches: Option<u32>,
    pub(super) retry: Retry,
    pub(super) routing_override: Option<Value>,
    pub(super) purge_time: Option<SystemTime>,
    /// The tasks by their short names.
    pub(super) tasks: BTreeMap<String, Task>,
}

/// A task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// Distinguishes the task from an earlier task of the same name.
    pub(super) number: u64,
    pub(super) target: Target,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
    pub(super) method: &'static str,
    pub(super) schedule_time: SystemTime,
    pub(super) create_time: SystemTime,
    pub(super) deadline: Option<Duration>,
    pub(super) retry: Option<Retry>,
    pub(super) dispatched: u32,
    pub(super) responses: u32,
    /// The value of the header `TaskExecutionCount`.
    pub(super) executions: u32,
    pub(super) first_dispatch: Option<SystemTime>,
    pub(super) last: Option<Attempt>,
    pub(super) running: bool,
}

/// The target of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Http { url: String, token: Option<Token> },
    AppEngine { uri: String, service: String, version: String },
}

/// The identity in the task's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) email: String,
    pub(super) audience: String,
}

/// The last attempt of a task.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) schedule_time: SystemTime,
    pub(super) dispatch_time: SystemTime,
    /// The time and the status of the attempt's end; the status is `None` without a response.
    pub(super) end: Option<(SystemTime, Option<u16>)>,
}

impl State {
    pub(super) fn is_blocked(&self, name: &str, now: SystemTime) -> bool {
        self.tombstones.get(name).is_some_and(|until| now < *until)
    }

    /// Removes a task; its name stays blocked.
    pub(super) fn end(&mut self, queue: &str, id: &str, now: SystemTime) -> Option<Task> {
        let task = self.queues.get_mut(queue)?.tasks.remove(id)?;
        self.tombstones.insert(format!("{queue}/tasks/{id}"), now + TOMBSTONE);
        Some(task)
    }

    pub(super) fn delete_queue(&mut self, name: &str, now: SystemTime) -> Option<Queue> {
        let queue = self.queues.remove(name)?;
        self.tombstones.insert(name.to_owned(), now + QUEUE_TOMBSTONE);
        Some(queue)
    }
}

impl Task {
    /// Returns the retry settings of a task.
    pub(super) fn retries<'a>(&'a self, queue: &'a Retry) -> &'a Retry {
        self.retry.as_ref().unwrap_or(queue)
    }
}
