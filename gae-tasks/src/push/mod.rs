//! Push: a queue calls this program over HTTP, with one request per attempt. See the guide
//! [push](crate::guide::push).
//!
//! [`PushService`] is a tower service over `http` types: mount it on any router, under your own
//! middlewares. A request is answered in stages, one file each: `service` guards, `verify` proves
//! who calls, `room` limits concurrent requests, `request` reads the platform's headers, `body`
//! reads the body, `attempt` makes the attempt, `limits` decides when a task has been tried enough,
//! `sink` keeps dead letters, `response` answers in the queue's terms.
//!
//! # Answers
//!
//! | status | the queue | meaning |
//! |---|---|---|
//! | 200 | forgets the task | the task is done; or it failed for good, or was tried enough, and its dead letter is safe; or it is postponed or granted one more attempt, and its copy is stored |
//! | 400 | retries | the body broke off |
//! | 403 | retries | the request is not proven to come from the queue; logged as an error, once a minute at most |
//! | 404 | retries | no task has this URL (it is not under the prefix, or contains no kind); or the task is a dead letter whose queue is not paused; or the task's kind or shape or the envelope's version is unknown here, or its payload or attributes cannot be read here, but perhaps by another instance |
//! | 405 | retries | the method is not POST |
//! | 408 | retries | [`SingularTaskFailure`](crate::SingularTaskFailure); or the body took too long |
//! | 413 | retries | the body is too large |
//! | 500 | retries | any other failure, a panic, a dead letter that could not be stored, an attempt that was stopped |
//! | 503 | retries, and slows down | there is no room for another request or its bytes: the only case in which the queue should slow down |
//! | 504 | retries | the deadline is missed |
//! | 510 | retries | the task failed and `max_attempts` is reached, but some deliveries were refused: one more attempt follows, of a task that is named or whose copy cannot be stored; also a refusal of the delivery after this answer |
//!
//! A caller that is not proven to be the queue gets 403 for every path under the prefix, whatever
//! the method, so that strangers do not learn which kinds exist.
//!
//! An attempt that is stopped because its runtime ends is answered with 500, not 503: another
//! instance has room for the task, and the queue need not slow down.
//!
//! # A time that the handler chose
//!
//! Cloud Tasks reads the time of the next attempt from no answer. After
//! [`TaskFailure::retry_after`](crate::TaskFailure::retry_after) the service therefore stores a
//! *copy* of the task with that schedule time, through the backend of its client, and answers 200.
//! The copy has the id of the task, its options and the number of attempts made so far, so
//! `max_attempts` and `max_retry_duration` go on counting. The service's client must send tasks to
//! the same place as the clients that defer them, because the copy goes there.
//!
//! - If an answer is lost, the queue delivers the task again although its copy is stored: **both
//!   may run**. A repeated delivery makes no second copy. `get`, `run_now` and `delete` of the
//!   task's id find copies; `delete` deletes both.
//! - A copy is scheduled 30 days ahead at most, and no later than the end of the task's life: 30.5
//!   days after the task was deferred, however often it is copied. If the attempt at the end fails,
//!   the task becomes a dead letter.
//! - A task that was [named](crate::Defer::named) is not copied, as its name prevents duplicates.
//!   It is retried with its queue's backoff, with a warning; so is a task whose copy cannot be
//!   stored. The answer is then 500 with `Retry-After`, which a queue server of your own may
//!   honour.
//!
//! # Where dead letters are kept
//!
//! On most platforms that a queue calls, an instance has no disk that outlives it. `build` warns of
//! a SQLite file there.
//!
//! | call | place | how long |
//! |---|---|---|
//! | [`dead_letters(&tasks)`](crate::PushServiceBuilder::dead_letters) with `dead_letters=queues` in the URL of Cloud Tasks | a paused queue `NAME-dead` beside each queue | Google deletes them after 31 days at most |
//! | [`dead_letters_in(&letters)`](crate::PushServiceBuilder::dead_letters_in) | a payload store: a bucket, a folder | until they are replayed or deleted |
//! | [`dead_letters(&client)`](crate::PushServiceBuilder::dead_letters) | SQLite, on a disk that lasts | the retention of the queue: 30 days by default |
//! | [`dead_letters_to(async fn)`](crate::PushServiceBuilder::dead_letters_to) | a place of your own | |
//! | [`log_dead_letters()`](crate::PushServiceBuilder::log_dead_letters) | nowhere: each dead letter is a line in the log | |
//!
//! # When the caller goes away
//!
//! An async handler is dropped when the caller closes the connection (the queue does so at the
//! task's deadline), and the queue retries the task. Servers on hyper, such as axum's, notice a
//! closed connection at once; actix-web only if configured to (see `PushService::actix`). A plain
//! function cannot be stopped: it goes on, sees [`is_cancelled`](crate::TaskContext::is_cancelled),
//! and counts as running until it returns.

#[cfg(feature = "actix")]
mod actix;
mod attempt;
mod body;
mod dead_letter;
mod letters;
mod limits;
mod postpone;
mod refused;
mod request;
mod response;
mod room;
mod service;
mod settings;
mod sink;
#[cfg(feature = "cron")]
mod tick;
pub mod verify;

pub use dead_letter::DeadLetter;
pub use letters::LetterStore;
pub(crate) use refused::Refusals;
pub use response::PushBody;
pub(crate) use room::Capacity;
pub use service::{PushFuture, PushService};
pub(crate) use settings::ServiceSettings;
pub(crate) use sink::Sink;

/// Whether a request or a response with these extensions was proven to come from the queue: the
/// response of a [`PushService`] to an authentic caller, or a request that the service
/// [marked](PushService::mark).
///
/// The function reads the proof, not a header that anybody can send.
pub fn is_from_task_queue(extensions: &http::Extensions) -> bool {
    extensions.get::<verify::Verified>().is_some()
}
