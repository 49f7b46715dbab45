//! A retention that a client's builder states: it is stored with each queue that the client meets.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::Client;
use crate::error::Error;
use crate::queue::QueueName;
use crate::retention::Retention;

/// What the builder stated, and the queues it is stored with.
#[derive(Debug, Default)]
pub(super) struct StatedRetention {
    stated: Retention,
    raised: Mutex<HashSet<QueueName>>,
}

impl StatedRetention {
    pub(super) fn new(stated: Retention) -> Self {
        Self { stated, raised: Mutex::default() }
    }

    fn is_raised(&self, queue: &QueueName) -> bool {
        !self.stated.is_stated() || self.raised.lock().unwrap_or_else(PoisonError::into_inner).contains(queue)
    }
}

impl Client {
    /// Stores the stated retention with these queues, once each.
    pub(crate) async fn raise_retention(&self, queues: impl IntoIterator<Item = &QueueName>) -> Result<(), Error> {
        let retention = &self.0.retention;
        for queue in queues {
            if !retention.is_raised(queue) {
                self.backend().raise_retention(queue.clone(), retention.stated).await?;
                retention.raised.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.clone());
            }
        }
        Ok(())
    }

    /// Stores the stated retention with this queue once more, when it is met next.
    pub(super) fn forget_raised(&self, queue: &QueueName) {
        self.0.retention.raised.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }

    /// The retention that the builder stated.
    pub(super) fn stated_retention(&self) -> Retention {
        self.0.retention.stated
    }

    /// Whether the stated retention is stored with `queue`, or none is stated.
    pub(crate) fn has_raised(&self, queue: &QueueName) -> bool {
        self.0.retention.is_raised(queue)
    }
}
