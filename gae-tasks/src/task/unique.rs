//! What makes a task unique: its key, which other tasks block it, and what a call does that meets
//! one.

use std::fmt;
use std::time::Duration;

/// The key of a unique task, which belongs to one queue.
///
/// It is a hash of 128 bits of the task's kind and of the values that it is unique by, and says
/// whether the key stays blocked after the task has finished.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueKey {
    hash: [u8; 16],
    outlives: bool,
}

/// The first character of keys in their stored form, among the names of tasks. No name has it.
#[cfg(any(test, feature = "postgres", feature = "sqlite"))]
const MARK: char = '~';

/// The last character of the stored form of a key that outlives its task; no name has it either.
#[cfg(any(test, feature = "postgres", feature = "sqlite"))]
const OUTLIVES: char = '+';

impl UniqueKey {
    /// Creates a key of this hash. If it `outlives` its task, it stays blocked after the task has
    /// finished, for as long as the queue keeps names.
    pub const fn new(hash: [u8; 16], outlives: bool) -> Self {
        Self { hash, outlives }
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.hash
    }

    /// Whether the key stays blocked after the task has finished.
    pub const fn outlives(&self) -> bool {
        self.outlives
    }

    /// The form in which it is stored among the names of a queue.
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) fn in_names(self) -> String {
        format!("{MARK}{self}")
    }

    /// The form in which a task has it in place of a name.
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) fn in_task(self) -> String {
        let end = if self.outlives { OUTLIVES.to_string() } else { String::new() };
        format!("{MARK}{self}{end}")
    }

    /// Reads the form in which a task has it; `None` if it is damaged.
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) fn of_task(text: &str) -> Option<Self> {
        let text = text.strip_prefix(MARK)?;
        let (digits, outlives) = match text.strip_suffix(OUTLIVES) {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let is_digits = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(digits, 16).ok().filter(|_| is_digits)?;
        Some(Self::new(number.to_be_bytes(), outlives))
    }
}

/// Shows the hash as 32 hexadecimal digits.
impl fmt::Display for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.hash))
    }
}

impl fmt::Debug for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a call that defers a unique task does if its key has a task already.
///
/// A waiting task always blocks the key. By default one that runs does too, a dead letter and a
/// finished task do not, and the call leaves the other task as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnConflict {
    /// Whether a task that runs blocks the key. If not, the call stores one more behind it.
    pub over_running: bool,
    /// Whether a dead letter blocks the key.
    pub over_dead: bool,
    /// Whether the memory of a finished task blocks the key.
    pub over_finished: bool,
    /// Whether a waiting task is replaced by that of the call.
    pub replaces_args: bool,
    /// What becomes of the time of a waiting task.
    pub reschedules: Reschedule,
}

/// What becomes of the time of a waiting task whose key a call meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reschedule {
    /// It stays.
    #[default]
    No,
    /// It becomes that of the call.
    ToCall,
    /// It becomes that of the call, but at most this long after the task was stored.
    Within(Duration),
}

impl OnConflict {
    /// Leaves the other task as it is, whether it waits or runs.
    pub const KEEP: Self = Self {
        over_running: true,
        over_dead: false,
        over_finished: false,
        replaces_args: false,
        reschedules: Reschedule::No,
    };
}

impl Default for OnConflict {
    fn default() -> Self {
        Self::KEEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskName;

    #[test]
    fn a_stored_key_is_read_back_and_is_no_name() {
        for outlives in [false, true] {
            let key = UniqueKey::new([7; 16], outlives);
            let text = key.in_task();
            assert_eq!(UniqueKey::of_task(&text), Some(key));
            assert_eq!(text.trim_end_matches(OUTLIVES), key.in_names());
            assert!(TaskName::new(text).is_err() && TaskName::new(key.in_names()).is_err());
        }
        let zeros = UniqueKey::new([0; 16], false);
        assert_eq!(zeros.in_names(), format!("~{}", "0".repeat(32)));
        assert_eq!(UniqueKey::of_task(&zeros.in_task()), Some(zeros));
    }

    #[test]
    fn a_damaged_key_is_none() {
        let digits = "0".repeat(31);
        for text in ["", "~", "~+", "welcome-42", &format!("~{digits}"), &format!("~+{digits}")] {
            assert_eq!(UniqueKey::of_task(text), None, "{text}");
        }
    }
}
