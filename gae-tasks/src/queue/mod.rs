//! Queues: their names, their configuration, and their rules for retries.

mod backoff;
mod bucket;
mod check;
mod config;
#[cfg(feature = "yaml")]
mod file;
mod name;
mod priority;
mod queues;
mod rate;
mod retry;
mod spread;

#[doc(hidden)]
pub use backoff::TypeBackoff;
pub(crate) use backoff::jitter;
pub(crate) use bucket::Bucket;
pub(crate) use check::NO_ATTEMPT;
pub use config::QueueConfig;
pub use name::QueueName;
pub(crate) use priority::{HIGHEST, LOWEST, advance, place};
pub use queues::Queues;
pub(crate) use queues::{Taken, WantedQueue};
pub(crate) use rate::{Rate, RateLimits};
pub use retry::{Attempts, RetryConfig};
pub(crate) use spread::spread;
