//! Samples of `queue.yaml` in every documented form, and malformed ones.

mod malformed;
mod random;
mod samples;

use super::*;
use crate::queue::QueueConfig;

/// Reads a file without mistakes.
fn read(text: &str) -> Queues {
    text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Reads the only queue of a file besides `default`, from its lines.
fn queue(lines: &str) -> QueueConfig {
    let queues = read(&format!("queue:\n{lines}"));
    let mut configs =
        queues.iter().filter(|(name, _)| *name != "default").map(|(_, config)| config.clone());
    let config = configs.next().expect("a queue");
    assert_eq!(configs.next(), None);
    config
}
