//! Push: a queue calls this program over HTTP, one request for one attempt. The guide: [push](crate::guide::push).
//!
//! [`PushService`] is a tower service over `http` types: mount it on the router of your choice, under your own
//! middlewares. A request is answered in stages, one file each: `service` guards, `verify` proves who calls, `room` limits
//! what is under way, `request` reads what the platform says of the attempt, `body` what the caller sends, `attempt` makes it,
//! `limits` decides what has been tried enough, `sink` keeps what is not attempted again, `response` says how it
//! ended in the words of the queue.
//!
//! # Answers
//!
//! | status | the queue | meaning |
//! |---|---|---|
//! | 200 | forgets the task | done; or failed for good, or tried enough, and the dead letter is safe; or postponed or granted one more attempt, and its copy is stored |
//! | 400 | retries | the body broke off |
//! | 403 | retries | nobody could prove that the request comes from the queue; logged as an error, once a minute at most |
//! | 404 | retries | no task has this URL, as it is not under the prefix, or no kind follows; or the task is a dead letter, whose queue is not paused; or the task's kind or shape, or the envelope's version, is unknown here, or its payload or attributes cannot be read here: another instance may be able to |
//! | 405 | retries | not POST |
//! | 408 | retries | [`SingularTaskFailure`](crate::SingularTaskFailure); or the body took too long |
//! | 413 | retries | the body is too large |
//! | 500 | retries | any other failure, a panic, a dead letter that could not be kept, an attempt that was stopped |
//! | 503 | retries, and slows down | no room for another request, or for its bytes: the one case where slowing the queue is right |
//! | 504 | retries | the deadline is missed |
//! | 510 | retries | it failed, and `max_attempts` is reached by deliveries some of which were refused: one more attempt follows, of a task that is named or whose copy cannot be stored; also a refusal of the delivery after it |
//!
//! Who is not proven to be the queue gets 403 for every path under the prefix, whatever the method: strangers do not learn
//! which kinds there are.
//!
//! An attempt that is stopped because its runtime ends is answered with 500, not 503: another instance has room for
//! it, and the queue need not slow down.
//!
//! # A time that the handler chose
//!
//! Cloud Tasks takes the time of the next attempt from no answer. After
//! [`TaskFailure::retry_after`](crate::TaskFailure::retry_after) the service therefore stores a *copy* of the task with
//! that schedule time, through the backend of its client, and answers 200. The copy has the id of the task, its options and
//! the attempts made so far, so `max_attempts` and `max_retry_duration` go on counting. The service's client must send
//! tasks to the same place as the clients that defer them: that is where the copy goes.
//!
//! - Where an answer is lost, the queue delivers the task again although its copy is stored: **both may run**. A repeated
//!   delivery makes no second copy. `get`, `run_now` and `delete` of the task's id find copies; `delete` deletes both.
//! - A copy is scheduled 30 days ahead at most, and no later than the end of the task's life: 30.5 days after it was
//!   deferred, however often it is copied. An attempt that fails then makes a dead letter.
//! - A task that was [named](crate::Defer::named) is not copied, as its name is what keeps it single. It gets the pause of
//!   its queue, with a warning; so does a task whose copy cannot be stored. The answer is 500 with `Retry-After` then,
//!   which queues of one's own may honour.
//!
//! # Where dead letters are kept
//!
//! An instance has no disk that outlives it on most platforms that a queue calls. `build` warns of a SQLite file there.
//!
//! | call | place | how long |
//! |---|---|---|
//! | [`dead_letters(&tasks)`](crate::PushServiceBuilder::dead_letters) with `dead_letters=queues` in the URL of Cloud Tasks | a paused queue `NAME-dead` beside each queue | Google forgets them after 31 days at most |
//! | [`dead_letters_in(&letters)`](crate::PushServiceBuilder::dead_letters_in) | a payload store: a bucket, a folder | until they are replayed or deleted |
//! | [`dead_letters(&client)`](crate::PushServiceBuilder::dead_letters) | SQLite, on a disk that lasts | as its queues say: 30 days |
//! | [`dead_letters_to(async fn)`](crate::PushServiceBuilder::dead_letters_to) | a place of your own | |
//! | [`log_dead_letters()`](crate::PushServiceBuilder::log_dead_letters) | nowhere: each is a line in the log | |
//!
//! # When the caller goes away
//!
//! An async handler is dropped when the caller closes the connection (the queue does at the task's deadline), and the
//! queue tries the task again. Servers on hyper, as axum's, notice that at once; actix-web only where it is reported to (see
//! `PushService::actix`). A plain function cannot be stopped: it goes on, sees
//! [`is_cancelled`](crate::TaskContext::is_cancelled), and counts as one that runs until it returns.

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
pub mod verify;

pub use dead_letter::DeadLetter;
pub use letters::LetterStore;
pub(crate) use refused::Refusals;
pub use response::PushBody;
pub(crate) use room::Capacity;
pub use service::{PushFuture, PushService};
pub(crate) use settings::ServiceSettings;
pub(crate) use sink::Sink;

/// Whether a request or a response with these extensions was proven to come from the queue: what a [`PushService`]
/// answered to an authentic caller, or a request that it [marked](PushService::mark).
///
/// It looks at the proof, never at a header that anybody can send.
pub fn is_from_task_queue(extensions: &http::Extensions) -> bool {
    extensions.get::<verify::Verified>().is_some()
}
