//! A crate of which a program uses one constant, and whose tasks are known all the same.

use gae_tasks::deferred;

/// All that the program uses.
pub const GREETING: &str = "hello";

/// A task that nobody mentions.
#[deferred(queue = "touched")]
pub async fn nobody_mentions_me(_: u8) {}

/// A task that was moved here from another crate.
#[deferred(queue = "touched", alias = ["elsewhere.mail/was_moved"])]
pub async fn was_moved(_: u8) {}
