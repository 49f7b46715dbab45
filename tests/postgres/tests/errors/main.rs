//! Bad input and bad days: one clear error from the call that meets it, without the password; a
//! worker that goes on by itself; nothing lost.

mod certificates;
mod connections;
mod opening;
mod outages;
mod refusals;
mod stage;
mod timeouts;
mod tls;
