//! A retention that a client's builder states: it is stored with each queue that the client meets.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::backend::Backend;
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

    /// Whether it is stored with `queue`, or none is stated.
    pub(super) fn is_raised(&self, queue: &QueueName) -> bool {
        !self.stated.is_stated()
            || self.raised.lock().unwrap_or_else(PoisonError::into_inner).contains(queue)
    }

    /// What the builder stated.
    pub(super) fn stated(&self) -> Retention {
        self.stated
    }

    /// Stores it with these queues, once each.
    pub(super) async fn raise(
        &self,
        backend: &dyn Backend,
        queues: impl IntoIterator<Item = &QueueName>,
    ) -> Result<(), Error> {
        for queue in queues {
            if !self.is_raised(queue) {
                backend.raise_retention(queue.clone(), self.stated).await?;
                self.raised.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.clone());
            }
        }
        Ok(())
    }

    /// Stores it with this queue once more, when it is met next.
    pub(super) fn forget(&self, queue: &QueueName) {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }
}
