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

    /// The error of a parameter whose type [`std::any::type_name`] calls `of`.
    #[cold]
    pub(crate) fn of_type(parameter: &'static str, of: &str, reason: impl Into<String>) -> Self {
        Self::at(format!("parameter `{parameter}` (`{}`)", short(of)), reason)
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

/// More of the name of a type is not shown.
const MAX_NAME: usize = 100;

/// The name of a type without the paths of its parts: `Vec<Letter>`.
fn short(name: &str) -> String {
    let (mut short, mut last) = (String::new(), 0);
    for c in name.chars() {
        if c == ':' {
            short.truncate(last);
            continue;
        }
        short.push(c);
        if !c.is_alphanumeric() && c != '_' {
            last = short.len();
        }
        if short.len() > MAX_NAME {
            short.push_str("..");
            break;
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use std::any::type_name;
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn types_are_shown_without_paths() {
        for (name, expected) in [
            (type_name::<Vec<UnreadableError>>(), "Vec<UnreadableError>"),
            (type_name::<HashMap<u8, [Option<String>; 2]>>(), "HashMap<u8, [Option<String>; 2]>"),
            (type_name::<(std::time::Duration, &str)>(), "(Duration, &str)"),
            (type_name::<Box<dyn std::fmt::Debug>>(), "Box<dyn Debug>"),
            ("one::two::Type_3<a::B>", "Type_3<B>"),
        ] {
            assert_eq!(short(name), expected);
        }
        type Long = ([UnreadableError; 1], [UnreadableError; 2], [UnreadableError; 3]);
        let shown = short(type_name::<(Long, Long)>());
        assert!(shown.len() < MAX_NAME + 5 && shown.ends_with(".."), "{shown}");
    }
}
