//! The name of this backend, and the limits of Google's queues.

use std::time::Duration;

use crate::backend::QueueLimits;

/// The backend's name, in errors and as the scheme of its URLs.
pub(super) const NAME: &str = "cloudtasks";

/// How far ahead Google schedules tasks. Source: `Task.schedule_time` of the API.
pub(super) const HORIZON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The most bytes of a stored task, including everything that belongs to it. Google's documentation
/// says 1 MiB; the measured limit is slightly lower.
pub(super) const MAX_TASK_BYTES: usize = 1_048_569;

/// The limits of Google's queues, and what a queue without limits has. The size of the token bucket
/// is output only. Source: `RateLimits` of the API, and recordings of the service.
pub(super) const QUEUES: QueueLimits = QueueLimits {
    max_dispatches_per_second: 500,
    max_concurrent_dispatches: 5_000,
    burst_size: false,
    own_dispatches_per_second: Some(500),
    own_concurrent_dispatches: Some(1_000),
};
