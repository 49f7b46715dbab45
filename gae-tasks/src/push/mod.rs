//! Push: a queue calls this program over HTTP, one request for one attempt.
//!
//! [`PushService`] is a tower service over `http` types: mount it on the router of your choice, under your own
//! middlewares. A request is answered in stages, one file each: `service` limits and guards, `verify` proves who calls,
//! `request` reads what the platform says of the attempt, `attempt` makes it, `response` says how it ended in the
//! words of the queue.

pub mod verify;
