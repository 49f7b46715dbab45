//! Names of tasks, used for de-duplication.

use crate::error::Error;
use crate::text::show_as_text;

/// The id that a caller chose for one task so that the task is deferred once:
/// `[A-Za-z0-9_-]{1,500}`.
///
/// Names belong to a queue: equal names in two queues name two tasks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskName(String);

impl TaskName {
    /// Creates a task name.
    ///
    /// # Errors
    /// [`Error::TaskName`] if `name` is empty, longer than 500 characters, or contains a character
    /// other than `[A-Za-z0-9_-]`.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if (1..=500).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(Error::TaskName { value: name })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

show_as_text!(TaskName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_names_have_limits() {
        assert!(TaskName::new("welcome-42_x").is_ok());
        assert!(TaskName::new("x".repeat(500)).is_ok());
        for bad in [String::new(), "x".repeat(501), "a b".into(), "a/b".into(), "é".into()] {
            assert!(TaskName::new(bad).is_err());
        }
    }
}
