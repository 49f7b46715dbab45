//! What a worker does with its tasks instead of running them: a relay carries them to another
//! queue.

use std::fmt;

use tokio::sync::watch;

use super::held::Held;
use crate::backend::{BoxFuture, LeaseRef, LeasedTask, Settlement};

/// What a worker does with each leased task.
pub(crate) trait Errand: fmt::Debug + Send + Sync {
    /// What the worker is called in logs.
    fn name(&self) -> &'static str;

    /// Deals with a task, and returns what to record. `None` leaves the lease to expire, which the
    /// next holder of the task sees.
    fn run<'a>(&'a self, task: &'a LeasedTask, hold: Hold<'a>)
    -> BoxFuture<'a, Option<Settlement>>;
}

/// The lease of a task that is being dealt with, as long as the worker is not shut down.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    pub(super) held: &'a Held,
    pub(super) lease: LeaseRef,
    /// Whether the worker is shutting down.
    pub(super) is_closed: watch::Receiver<bool>,
}

impl Hold<'_> {
    /// Whether the lease is held: the task was not deleted, and nobody else has it.
    pub(crate) fn is_held(&self) -> bool {
        self.held.contains(&self.lease)
    }

    /// Whether the task was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.held.is_cancelled(&self.lease)
    }

    /// Waits until the task is cancelled.
    pub(crate) async fn cancelled(&self) {
        self.held.cancelled(&self.lease).await;
    }

    /// Waits until the worker shuts down.
    pub(crate) async fn closed(&self) {
        // Without a sender the worker is gone.
        _ = self.is_closed.clone().wait_for(|is_closed| *is_closed).await;
    }
}
