//! Push: a queue calls this program over HTTP, one request for one attempt.
//!
//! [`PushService`] is a tower service over `http` types: mount it on the router of your choice, under your own
//! middlewares. A request is answered in stages, one file each: `service` guards, `verify` proves who calls, `room` limits
//! what is under way, `request` reads what the platform says of the attempt, `body` what the caller sends, `attempt` makes it,
//! `limits` decides what has been tried enough, `dead_letter` keeps what is not attempted again, `response` says how it
//! ended in the words of the queue.
//!
//! # Answers
//!
//! | status | the queue | meaning |
//! |---|---|---|
//! | 200 | forgets the task | done; or failed for good, or tried enough, and the dead letter is safe |
//! | 400 | retries | the body broke off |
//! | 403 | retries | nobody could prove that the request comes from the queue; logged as an error, once a minute at most |
//! | 404 | retries | no task has this URL, as it is not under the prefix, or no kind follows; or the task's kind or shape, or the envelope's version, is unknown here, or its payload or attributes cannot be read here: another instance may be able to |
//! | 405 | retries | not POST |
//! | 408 | retries | [`SingularTaskFailure`](crate::SingularTaskFailure); or the body took too long |
//! | 413 | retries | the body is too large |
//! | 500 | retries | any other failure, a panic, a dead letter that could not be kept, an attempt that was stopped |
//! | 503 | retries, and slows down | no room for another request, or for its bytes: the one case where slowing the queue is right |
//! | 504 | retries | the deadline is missed |
//! | 510 | retries | it failed, and `max_attempts` is reached by deliveries some of which were refused: one more attempt follows |
//!
//! Who is not proven to be the queue gets 403 for every path under the prefix, whatever the method: strangers do not learn
//! which kinds there are.
//!
//! An attempt that is stopped because its runtime ends is answered with 500, not 503: another instance has room for
//! it, and the queue need not slow down.
//!
//! # When the caller goes away
//!
//! An async handler is dropped when the caller closes the connection (the queue does at the task's deadline), and the
//! queue tries the task again. Servers on hyper, as axum's, notice that at once; actix-web only where it is told to (see
//! `PushService::actix`). A plain function cannot be stopped: it goes on, sees
//! [`is_cancelled`](crate::TaskContext::is_cancelled), and counts as one that runs until it returns.

#[cfg(feature = "actix")]
mod actix;
mod attempt;
mod body;
mod dead_letter;
mod limits;
mod plan;
mod refused;
mod request;
mod response;
mod room;
mod service;
pub mod verify;

pub use dead_letter::DeadLetter;
pub(crate) use dead_letter::Sink;
pub(crate) use plan::Plan;
pub(crate) use refused::Refusals;
pub use response::PushBody;
pub(crate) use room::Capacity;
pub use service::{PushFuture, PushService};

/// Whether a request or a response with these extensions was proven to come from the queue: what a [`PushService`]
/// answered to an authentic caller, or a request that it [marked](PushService::mark).
///
/// It looks at the proof, never at a header that anybody can send.
pub fn is_from_task_queue(extensions: &http::Extensions) -> bool {
    extensions.get::<verify::Verified>().is_some()
}
