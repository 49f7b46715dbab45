//! A crate of which a program uses only a constant, and whose tasks are known nevertheless.

use gae_tasks::deferred;

/// The only item that the program uses.
pub const GREETING: &str = "hello";

/// A task that no other code mentions.
#[deferred(queue = "touched")]
pub async fn nobody_mentions_me(_: u8) {}

/// A task that moved here from another crate.
#[deferred(queue = "touched", alias = ["elsewhere.mail/was_moved"])]
pub async fn was_moved(_: u8) {}
