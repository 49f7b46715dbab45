//! What a check before a deploy asks of a backend: the routes of all queues that may be read, and
//! some payloads of each.

use super::record::{RouteStats, TaskRecord, TaskState};
use crate::queue::QueueName;
use crate::task::Route;

/// The stored tasks by queue and route, as far as they may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Surveyed {
    /// The lines of the statistics.
    pub lines: Vec<RouteStats>,
    /// The queues that this program may not read.
    pub unread: Vec<UnreadQueue>,
}

impl Surveyed {
    /// Creates the answer of a backend that has read all queues.
    pub const fn new(lines: Vec<RouteStats>) -> Self {
        Self { lines, unread: Vec::new() }
    }
}

/// A queue that this program may not read, or may not read the payloads of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadQueue {
    /// The queue.
    pub queue: QueueName,
    /// Why, and what to do: the missing permission.
    pub reason: String,
}

impl UnreadQueue {
    /// Creates the answer about a queue that may not be read.
    pub const fn new(queue: QueueName, reason: String) -> Self {
        Self { queue, reason }
    }
}

/// A request to read some tasks of each of these routes, with their payloads: first those that
/// wait, then those that are leased, then dead letters.
///
/// The time that it takes depends on the limits and the number of leases in progress, not on the
/// number of stored tasks. (Google's queues have no index: there, a page of a thousand tasks
/// without their bodies is read for each thousand tasks of the queue, as for the statistics.)
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sample {
    /// The queue.
    pub queue: QueueName,
    /// The routes.
    pub routes: Vec<Route>,
    /// The maximum number of tasks of a route.
    pub limit: usize,
    /// About how many bytes of payloads are read of a route: no task is read after as many.
    pub bytes: usize,
}

impl Sample {
    /// Creates a request for at most `limit` tasks, and about as many `bytes` of payloads, of each
    /// of `routes` in `queue`.
    pub const fn new(queue: QueueName, routes: Vec<Route>, limit: usize, bytes: usize) -> Self {
        Self { queue, routes, limit, bytes }
    }
}

/// Some tasks of one route.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Sampled {
    /// The tasks, with their payloads.
    pub records: Vec<TaskRecord>,
    /// The states of tasks that are stored and cannot be opened: they are damaged, or a newer
    /// version of this crate stored them.
    pub unreadable: Vec<TaskState>,
}

impl Sampled {
    /// The number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.records.len() + self.unreadable.len()
    }

    /// The number of bytes of payloads.
    pub(crate) fn bytes(&self) -> usize {
        self.records.iter().filter_map(|record| record.payload.as_ref()).map(Vec::len).sum()
    }
}
