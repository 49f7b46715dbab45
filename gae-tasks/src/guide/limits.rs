//! Limits of queues: how fast their tasks are dispatched, and how many run at a time.
//!
//! ```
//! use gae_tasks::{Client, QueueConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let limits = QueueConfig::new()
//!     .with_max_dispatches_per_second(5.0) // fractions too: 0.1 is one in ten seconds
//!     .with_max_burst_size(10)
//!     .with_max_concurrent_dispatches(3);
//! tasks.put_queue("payment-provider", limits).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The limits are stored with the queue and hold for the whole fleet: all workers of all processes
//! together dispatch no more. A queue has no limits unless they are set. Changed limits hold from
//! the next dispatch on, in every process. Where a queue pushes (Cloud Tasks), Google keeps the
//! limits.
//!
//! # Rate and burst
//!
//! `max_dispatches_per_second` is the rate of a token bucket, and `max_burst_size` is its size.
//! Each dispatch takes a token. So in any stretch of time there are at most *rate × time + burst*
//! dispatches, and after a quiet time as many as the burst may start at once. Without a burst, the
//! bucket holds the tokens of one second, at least one. A burst without a rate limits nothing.
//!
//! - The time of a dispatch is the time at which the storage leases the task. The task starts at
//!   once: nothing is leased ahead from a queue with limits.
//! - A retry is a dispatch, and takes a token.
//! - A task that goes back without an attempt, such as at a shutdown, gives its token back.
//! - [`run_now`](crate::Client::run_now) takes no token, and does not wait for one.
//! - A token that arrives while the bucket is full is lost. Workers take a few milliseconds to come
//!   back for a token, so a burst of what flows in during 50 ms or more is needed to reach a high
//!   rate: at 100 a second, a burst of 5.
//! - A queue that loses its rate and gets one again goes on with its bucket, with the tokens that
//!   have flowed in since.
//! - If the clock is set back, the bucket keeps its tokens, and time counts from then on.
//!
//! # Concurrency
//!
//! `max_concurrent_dispatches` counts leases: from the dispatch until the outcome of the attempt is
//! recorded. The tasks of a killed process count until another worker has recovered them: on SQLite
//! at once, elsewhere when their leases have run out at the latest.
//!
//! - [`run_now`](crate::Client::run_now) starts a task beyond the limit; it counts for the others.
//! - When a queue gets a limit, the tasks that run already count too.
//!
//! Beside this, [`.queue_concurrency("bulk", 8)`](crate::Worker::queue_concurrency) bounds how many
//! tasks of a queue one worker runs. It protects a process, not what the tasks call.
//!
//! # What limits cost
//!
//! A queue without limits pays nothing for those of others. A worker leases tasks of queues with
//! limits only for runners that are free, so such a queue has more and smaller leases; raise the
//! [`concurrency`](crate::Worker::concurrency) of workers whose tasks are very short. While the
//! runners are busy with tasks that were leased ahead, the queues with limits together take a turn
//! among the other queues. A queue that is at its limit never delays others.
//!
//! A [relay](crate::Relay) does not run its tasks, so limits of its queues do not apply to it: set
//! them at the destination. Nor do they apply to `drain` of the test kit.
