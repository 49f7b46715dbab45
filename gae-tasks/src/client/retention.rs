//! The retention that a client's builder states, stored with each queue that the client uses.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::backend::Backend;
use crate::error::Error;
use crate::queue::QueueName;
use crate::retention::Retention;

/// The stated retention, and the queues with which it is stored.
#[derive(Debug, Default)]
pub(super) struct StatedRetention {
    stated: Retention,
    raised: Mutex<HashSet<QueueName>>,
}

impl StatedRetention {
    pub(super) fn new(stated: Retention) -> Self {
        Self { stated, raised: Mutex::default() }
    }

    /// Whether the retention is stored with `queue`, or none is stated.
    pub(super) fn is_raised(&self, queue: &QueueName) -> bool {
        !self.stated.is_stated()
            || self.raised.lock().unwrap_or_else(PoisonError::into_inner).contains(queue)
    }

    /// The retention that the builder stated.
    pub(super) fn stated(&self) -> Retention {
        self.stated
    }

    /// Stores the retention with these queues, once each.
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

    /// Forgets that the retention is stored with this queue, so that it is stored again at the next
    /// use.
    pub(super) fn forget(&self, queue: &QueueName) {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }
}
