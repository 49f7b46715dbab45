//! Where a relay creates tasks, and which tasks can be created there.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::accept::{Sizes, check_task};
use crate::backend::{Backend, Capabilities, NewTask};
use crate::error::Error;

/// The margin between the schedule time of a task and the horizon of its destination, whose clock
/// may be behind.
const SLACK: Duration = Duration::from_secs(60);

/// Where a relay creates tasks.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) backend: Arc<dyn Backend>,
    capabilities: Capabilities,
    sizes: Sizes,
}

impl Destination {
    /// Creates a destination with the limits of the client that it was taken from.
    pub(crate) fn new(backend: Arc<dyn Backend>, sizes: Sizes) -> Self {
        Self { capabilities: backend.capabilities(), backend, sizes }
    }

    pub(crate) const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The backend's name.
    pub(crate) const fn name(&self) -> &'static str {
        self.capabilities.backend
    }

    /// Whether this is the same destination as another.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.backend, &other.backend)
    }

    /// Checks that a task can be created here, now or when its schedule time is close enough.
    ///
    /// # Errors
    /// As for a `defer` with a client of the destination.
    pub(crate) fn check(&self, task: &NewTask) -> Result<(), Error> {
        check_task(task, self.sizes, &self.capabilities)
    }

    /// How long before its schedule time a task can be created here.
    pub(crate) fn ahead(&self) -> Duration {
        self.capabilities
            .schedule_horizon
            .map_or(Duration::MAX, |horizon| horizon.saturating_sub(SLACK))
    }
}
