//! Why a type has no schema, and what to do.

use crate::payload::remedy::WRAP;

/// Why a type has no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It asks the format what comes next.
    Any(Expected),
    /// It asks for the name of a field outside of a struct.
    Flattened,
    /// Its bytes differ by platform.
    Platform,
    /// It nests too deep, or has too many parts.
    TooLarge,
    /// It reads variants by other numbers than the order of their names says.
    Numbers,
    /// It refuses every value that is made up for a part of it.
    Untraced,
    /// It panics where it is given a value that is made up.
    Panics,
}

/// What a type is that asks the format what comes next, by its own words for what it expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    Internal,
    Adjacent,
    /// Also what keeps its content until it knows more: serde says the same of both.
    Untagged,
    Json,
    /// What is read and forgotten.
    Ignored,
    Other(String),
}

/// How many characters of a type's words are repeated.
const MAX_WORDS: usize = 80;

impl Expected {
    pub(crate) fn of(visitor: &dyn serde::de::Expected) -> Self {
        let words = visitor.to_string();
        match words.as_str() {
            "any value" => Self::Untagged,
            "any valid JSON value" => Self::Json,
            "anything at all" => Self::Ignored,
            _ if words.starts_with("internally tagged enum ") => Self::Internal,
            _ if words.starts_with("adjacently tagged enum ") => Self::Adjacent,
            _ => {
                let is_plain = |c: &char| !c.is_control();
                Self::Other(words.chars().filter(is_plain).take(MAX_WORDS).collect())
            }
        }
    }

    /// What it is, and what to do.
    fn reason(&self) -> String {
        let (what, remedy) = match self {
            Self::Internal => (
                "an internally tagged enum (`#[serde(tag = ..)]`)",
                "remove the attribute, so that its variants have numbers, or ",
            ),
            Self::Adjacent => (
                "an adjacently tagged enum (`#[serde(tag = .., content = ..)]`)",
                "remove the attribute, so that its variants have numbers, or ",
            ),
            Self::Untagged => (
                "an untagged enum (`#[serde(untagged)]`), or keeps its content in another way \
                 until it knows more",
                "remove the attribute, so that its variants have numbers, or ",
            ),
            Self::Json => ("JSON of any form (`serde_json::Value`)", ""),
            Self::Ignored => ("a value of any type that is forgotten (`IgnoredAny`)", ""),
            Self::Other(words) => {
                return format!(
                    "it expects \"{words}\"): choose a form of it that is always of one kind, such \
                     as a text (`#[serde(with = ..)]`), or {WRAP}"
                );
            }
        };
        format!("it is {what}): {remedy}{WRAP}")
    }
}

impl Refusal {
    /// The message about the part at `place`.
    pub(crate) fn reason(&self, place: &str) -> String {
        let why = match self {
            Self::Any(expected) => {
                let reason = expected.reason();
                return format!(
                    "`{place}` asks the format what comes next, which a payload does \
                     not say ({reason}"
                );
            }
            Self::Flattened => {
                let place = place.strip_suffix("{key}").unwrap_or(place);
                return format!(
                    "`{place}` asks for the names of fields outside of a struct, \
                     which a payload does not hold (`#[serde(flatten)]`, or a struct that is read \
                     as a map): give what is flattened a field of its own, or {WRAP}"
                );
            }
            Self::Platform => {
                return format!(
                    "`{place}` is an `OsString`, which differs by platform: use \
                     `String` or `PathBuf`"
                );
            }
            Self::TooLarge => "nests deeper than 128 levels, or has more than 65,536 parts",
            Self::Numbers => {
                "reads its variants by other numbers than the order of their names says"
            }
            Self::Untraced => {
                "cannot be traced: its type reads on only after values that cannot be guessed, or \
                 asks for something else each time"
            }
            Self::Panics => "cannot be traced: its type panics when it is given a value",
        };
        format!("`{place}` {why}: {WRAP}")
    }
}
