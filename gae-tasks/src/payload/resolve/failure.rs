//! Why a payload cannot be read through its writer's schema: a place and a reason, never a value.

use std::borrow::Cow;
use std::fmt;

use serde::de::Unexpected;

use super::path::{Step, path};

/// Why a value cannot be read.
///
/// What a user's type says about its values is not kept: it may repeat them.
#[derive(Debug)]
pub(crate) struct Failure(Box<Inner>);

#[derive(Debug)]
struct Inner {
    reason: Reason,
    /// From the innermost step outwards.
    steps: Vec<Owned>,
    /// Whether it is known if every payload of the pair of schemas fails like this one.
    is_judged: bool,
    is_of_pair: bool,
}

#[derive(Debug)]
enum Owned {
    Field(String),
    Variant(String),
    Other(Step<'static>),
}

impl Owned {
    fn borrowed(&self) -> Step<'_> {
        match self {
            Self::Field(name) => Step::Field(name),
            Self::Variant(name) => Step::Variant(name),
            Self::Other(step) => *step,
        }
    }
}

/// What is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Short,
    Corrupt,
    /// Bytes follow the last parameter.
    TooLong(usize),
    /// What was written, and what the type asks for.
    Kind(Cow<'static, str>, &'static str),
    /// A number that is no number of the type.
    Range(&'static str),
    NoValue,
    NoNumber,
    NoChar,
    Length,
    /// A field that the type does not know.
    Unknown,
    /// A variant that the type does not know.
    UnknownVariant,
    /// A name that the type does not know, before it is clear of what.
    UnknownName,
    /// The type has read less than there is.
    Unread,
    Missing(&'static str),
    Twice(&'static str),
    Deep,
    /// Too many values that take no bytes.
    Endless,
    /// Far more JSON than bytes.
    Lengthy,
    /// The type's own reason.
    Refused,
    RefusedKind(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind(was, is) => return write!(f, "was {was}, is read as {is}"),
            Self::TooLong(left) => return write!(f, "has {left} bytes too many"),
            Self::Range(is) => return write!(f, "holds a number that is out of the range of {is}"),
            Self::RefusedKind(kind) => return write!(f, "its type refuses {kind}"),
            Self::Missing(_) => "is missing from the stored payload: add `#[serde(default)]`",
            Self::Twice(name) => return write!(f, "has the field `{name}` twice"),
            Self::Short => "ends early",
            Self::Corrupt => "is not what its schema says",
            Self::NoValue => "holds no value (`None`), and its type needs one",
            Self::NoNumber => "holds a key that is no number",
            Self::NoChar => "holds a text that is not one character",
            Self::Length => "holds another number of elements than its type has",
            Self::Unknown => "is not known here",
            Self::UnknownVariant => "is a variant that is not known here",
            Self::Unread => "holds more than its type reads",
            Self::Deep => "nests deeper than 128 levels",
            Self::Endless => "holds too many values that take no bytes",
            Self::Lengthy => "is too much as JSON: it is far longer than its bytes",
            Self::UnknownName | Self::Refused => "its type refuses the value",
        })
    }
}

impl From<Reason> for Failure {
    #[cold]
    fn from(reason: Reason) -> Self {
        let inner = Inner { reason, steps: Vec::new(), is_judged: false, is_of_pair: false };
        Self(Box::new(inner))
    }
}

impl Failure {
    /// The same failure, seen from the part that holds the one it was in.
    #[cold]
    pub(crate) fn within(mut self, step: Step<'_>) -> Self {
        self.0.steps.push(match step {
            Step::Field(name) => Owned::Field(name.to_owned()),
            Step::Variant(name) => Owned::Variant(name.to_owned()),
            Step::Position(at) => Owned::Other(Step::Position(at)),
            Step::Element => Owned::Other(Step::Element),
            Step::Key => Owned::Other(Step::Key),
            Step::Value => Owned::Other(Step::Value),
        });
        self
    }

    /// The same failure, after a name was recognised or not: `name` is one of the schema's.
    #[cold]
    pub(crate) fn at_name(mut self, reason: Reason) -> Self {
        if self.0.reason == Reason::UnknownName && self.0.steps.is_empty() {
            self.0.reason = reason;
        }
        self
    }

    /// The same failure, seen from a struct: one of its fields may be missing.
    ///
    /// `is_of_pair` returns for the field's name whether it is missing in every payload.
    #[cold]
    pub(crate) fn in_struct(mut self, is_of_pair: impl FnOnce(&str) -> bool) -> Self {
        if let Reason::Missing(name) = self.0.reason
            && !self.0.is_judged
        {
            self.0.is_of_pair = self.0.steps.is_empty() && is_of_pair(name);
            self.0.is_judged = true;
            self.0.steps.insert(0, Owned::Field(name.to_owned()));
        }
        self
    }

    /// Whether every payload of the pair of schemas fails like this one.
    pub(crate) fn is_of_pair(&self) -> bool {
        self.0.is_of_pair
    }

    /// Whether a field is missing that has no default.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.0.reason, Reason::Missing(_))
    }

    /// The path of what cannot be read, within the parameter or with it; empty if it is all.
    pub(crate) fn path(&self) -> String {
        path(self.0.steps.iter().rev().map(Owned::borrowed))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.reason.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Reason::Refused.into()
    }

    fn invalid_type(unexpected: Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Reason::RefusedKind(kind(unexpected)).into()
    }

    fn invalid_value(unexpected: Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Reason::RefusedKind(kind(unexpected)).into()
    }

    fn invalid_length(_: usize, _: &dyn serde::de::Expected) -> Self {
        Reason::Length.into()
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Reason::UnknownName.into()
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Reason::UnknownName.into()
    }

    fn missing_field(field: &'static str) -> Self {
        Reason::Missing(field).into()
    }

    fn duplicate_field(field: &'static str) -> Self {
        Reason::Twice(field).into()
    }
}

/// What a type was given, without the value.
fn kind(unexpected: Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "this `bool`",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "this integer",
        Unexpected::Float(_) => "this floating-point number",
        Unexpected::Char(_) | Unexpected::Str(_) => "this text",
        Unexpected::Bytes(_) => "these bytes",
        Unexpected::Option => "an option",
        Unexpected::Seq => "a sequence",
        Unexpected::Map => "a map or a struct",
        Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant => "this variant",
        _ => "the value",
    }
}
