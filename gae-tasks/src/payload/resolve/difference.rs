//! Why payloads of one schema cannot be read under another, in words.

use std::fmt;

/// Why tasks of a schema wait: what keeps this program from reading them, and what to do.
///
/// `Display` shows the first differences: "parameter `cents`: was a u32, is a String".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    shown: Vec<String>,
    /// Differences that are not kept, but for those known to be the same as one that is.
    more: usize,
    /// How many were put into words.
    worded: usize,
}

/// How many differences are kept.
const MAX_SHOWN: usize = 8;

/// How many are put into words, to see whether they are kept: schemas come from outside, and may
/// differ in a million places that have one name.
const MAX_WORDED: usize = 64;

impl Difference {
    pub(crate) fn none() -> Self {
        Self { shown: Vec::new(), more: 0, worded: 0 }
    }

    pub(crate) fn one(words: String) -> Self {
        Self { shown: vec![words], more: 0, worded: 0 }
    }

    pub(crate) fn add(&mut self, words: impl FnOnce() -> String) {
        if self.shown.len() < MAX_SHOWN && self.worded < MAX_WORDED {
            self.worded += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_differences_take_little_work() {
        for kinds in [1, 7, 8, 10_000] {
            let (mut difference, mut worded) = (Difference::none(), 0);
            for at in 0..10_000 {
                difference.add(|| {
                    worded += 1;
                    format!("difference {}", at % kinds)
                });
            }
            assert!(worded <= MAX_WORDED, "{worded}");
            let shown = difference.to_string();
            assert_eq!(shown.matches("difference").count(), kinds.min(MAX_SHOWN), "{shown}");
            assert!(shown.contains("; and 99"), "{shown}");
        }
    }

    #[test]
    fn a_difference_that_is_found_twice_is_shown_once() {
        let mut difference = Difference::none();
        (0..3).for_each(|_| difference.add(|| "it differs".to_owned()));
        assert_eq!(difference.to_string(), "it differs");
    }
}
