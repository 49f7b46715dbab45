//! Why a payload cannot be written or read.

/// Why a payload cannot be written or read: the parameter and the codec's reason, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {reason}")]
pub struct UnreadableError {
    place: String,
    reason: String,
}

impl UnreadableError {
    /// `parameter` is the name of one, or a path from one.
    pub(crate) fn of_parameter(parameter: &str, reason: impl Into<String>) -> Self {
        Self { place: format!("parameter `{parameter}`"), reason: reason.into() }
    }

    pub(crate) fn of_payload(reason: impl Into<String>) -> Self {
        Self { place: "the payload".to_owned(), reason: reason.into() }
    }
}
