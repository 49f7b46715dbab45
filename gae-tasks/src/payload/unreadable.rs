//! The error of payloads.

/// Why a payload cannot be written or read: the parameter and the codec's reason, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {reason}")]
pub struct UnreadableError {
    place: String,
    reason: String,
    /// The path of the field that the payload lacks, if that is the reason.
    missing: Option<Box<str>>,
}

impl UnreadableError {
    pub(crate) fn of_parameter(parameter: &'static str, reason: impl Into<String>) -> Self {
        Self::at(format!("parameter `{parameter}`"), reason)
    }

    pub(crate) fn of_upgrade(upgrade: &'static str, reason: impl Into<String>) -> Self {
        Self::at(format!("the upgrade `{upgrade}`"), reason)
    }

    /// The error at `path`, or of the whole payload if the path is empty.
    pub(crate) fn of_path(path: &str, reason: impl Into<String>) -> Self {
        match path {
            "" => Self::of_payload(reason),
            path => Self::at(format!("parameter `{path}`"), reason),
        }
    }

    pub(crate) fn of_payload(reason: impl Into<String>) -> Self {
        Self::at("the payload".to_owned(), reason)
    }

    fn at(place: String, reason: impl Into<String>) -> Self {
        Self { place, reason: reason.into(), missing: None }
    }

    /// The same error: the payload lacks the field at `path`, which has no default.
    pub(crate) fn of_missing(self, path: String) -> Self {
        Self { missing: Some(path.into()), ..self }
    }

    /// The path of the field that the payload lacks, if that is the reason.
    #[cfg(feature = "testing")]
    pub(crate) fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }
}
