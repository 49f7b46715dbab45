//! The name of a queue.

use std::borrow::Cow;

use crate::error::Error;
use crate::text::show_as_text;

/// The name of a queue: `[A-Za-z0-9-]{1,100}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Cow<'static, str>);

impl QueueName {
    /// The default queue.
    pub const DEFAULT: Self = Self(Cow::Borrowed("default"));

    /// Creates a queue name that the attribute has checked at compile time.
    pub(crate) const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Creates a queue name.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `name` is empty, longer than 100 characters, or contains a character
    /// other than `[A-Za-z0-9-]`.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if (1..=100).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(Cow::Owned(name)))
        } else {
            Err(Error::QueueName { value: name })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

show_as_text!(QueueName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_names_have_limits() {
        assert!(QueueName::new("emails-2").is_ok());
        assert!(QueueName::new("q".repeat(100)).is_ok());
        for bad in [String::new(), "q".repeat(101), "a_b".into(), "a b".into(), "é".into()] {
            assert!(QueueName::new(bad).is_err());
        }
    }
}
