//! Why payloads of one schema cannot be read under another, in words.

use std::fmt;

/// Why tasks of a schema wait: what keeps this program from reading them, and what to do.
///
/// `Display` shows the first differences: "parameter `cents`: was a u32, is a String".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    shown: Vec<String>,
    more: usize,
}

/// How many differences are kept.
const MAX_SHOWN: usize = 8;

impl Difference {
    pub(crate) fn none() -> Self {
        Self { shown: Vec::new(), more: 0 }
    }

    pub(crate) fn one(words: String) -> Self {
        Self { shown: vec![words], more: 0 }
    }

    pub(crate) fn add(&mut self, words: impl FnOnce() -> String) {
        if self.shown.len() < MAX_SHOWN {
            let words = words();
            // A type that is used twice differs twice.
            if !self.shown.contains(&words) {
                self.shown.push(words);
            }
        } else {
            self.more += 1;
        }
    }

    /// The bytes that it takes, about.
    pub(crate) fn weight(&self) -> usize {
        self.shown.iter().map(String::len).sum()
    }

    pub(crate) fn is_none(&self) -> bool {
        self.shown.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, words) in self.shown.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            f.write_str(words)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Difference {}
