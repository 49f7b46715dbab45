//! The task: one file, digested and counted.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result};
use gae_tasks::{PermanentTaskFailure, deferred};
use sha2::{Digest, Sha256};

use crate::results::Results;

/// How often each digest is digested again: real work, as in password hashes.
const ROUNDS: usize = 100_000;

/// Digests and counts one file, and stores what it found.
///
/// A plain `fn` runs on the blocking pool, where long computations delay nobody. A task may run
/// more than once (its worker may be killed after the work and before the outcome is recorded), so
/// the result is stored under the file's path.
///
/// A file that cannot be read is tried three times, a file that is gone only once. Then the task is
/// a dead letter.
#[deferred(queue = "files", max_attempts = 3)]
pub(crate) fn digest_file(path: String, #[state] results: &Results) -> Result<()> {
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(PermanentTaskFailure::new(format!("{path} is gone")).because(error).into());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
    };
    results.store(&path, &FileFacts::of(&bytes))
}

/// A task name for a path: names are letters, digits, hyphens and underscores.
pub(crate) fn name_of(path: &str) -> String {
    hex(&Sha256::digest(path))
}

/// What the task finds in a file.
#[derive(Debug)]
pub(crate) struct FileFacts {
    pub(crate) digest: String,
    pub(crate) lines: usize,
    pub(crate) words: usize,
}

impl FileFacts {
    fn of(bytes: &[u8]) -> Self {
        let mut digest = Sha256::digest(bytes);
        for _ in 0..ROUNDS {
            digest = Sha256::digest(digest);
        }
        let text = String::from_utf8_lossy(bytes);
        Self {
            digest: hex(&digest),
            lines: text.lines().count(),
            words: text.split_whitespace().count(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
