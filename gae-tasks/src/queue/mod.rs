//! Queues: their names, their configuration, and their rules for retries.

mod backoff;
mod check;
mod config;
mod name;
mod retry;
mod spread;

#[doc(hidden)]
pub use backoff::TypeBackoff;
pub(crate) use backoff::jitter;
pub(crate) use check::NO_ATTEMPT;
pub use config::QueueConfig;
pub use name::QueueName;
pub use retry::{Attempts, RetryConfig};
pub(crate) use spread::spread;
