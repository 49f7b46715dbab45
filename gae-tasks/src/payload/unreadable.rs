//! The error of payloads.

/// Why a payload cannot be written or read: the parameter and the codec's reason, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {reason}")]
pub struct UnreadableError {
    place: String,
    reason: String,
}

impl UnreadableError {
    pub(crate) fn of_parameter(parameter: &'static str, reason: impl Into<String>) -> Self {
        Self { place: format!("parameter `{parameter}`"), reason: reason.into() }
    }

    pub(crate) fn of_upgrade(upgrade: &'static str, reason: impl Into<String>) -> Self {
        Self { place: format!("the upgrade `{upgrade}`"), reason: reason.into() }
    }

    /// The error at `path`, or of the whole payload if the path is empty.
    pub(crate) fn of_path(path: &str, reason: impl Into<String>) -> Self {
        match path {
            "" => Self::of_payload(reason),
            path => Self { place: format!("parameter `{path}`"), reason: reason.into() },
        }
    }

    pub(crate) fn of_payload(reason: impl Into<String>) -> Self {
        Self { place: "the payload".to_owned(), reason: reason.into() }
    }
}
