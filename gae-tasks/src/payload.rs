//! Encodes parameters as bytes: postcard, one after the other.

mod check;
#[cfg(feature = "json")]
mod json;
mod remedy;
pub(crate) mod schema;
mod trace;
mod unreadable;

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(feature = "json")]
pub use self::json::Json;
pub use self::schema::{Schema, SchemaError};
pub use self::trace::{TraceDeserialize, TraceOther, Traceable, Tracer};
pub use self::unreadable::UnreadableError;

/// Shows a parameter if its type is `Debug`. Called on `&&Described`, for which [`DescribedDebug`]
/// is found first.
#[derive(Debug)]
pub struct Described<'a, T>(pub &'a T);

/// Shows a parameter whose type is `Debug`.
pub trait DescribedDebug<'a> {
    /// Its value.
    fn value(&self) -> &'a dyn fmt::Debug;
}

impl<'a, T: fmt::Debug> DescribedDebug<'a> for &Described<'a, T> {
    fn value(&self) -> &'a dyn fmt::Debug {
        self.0
    }
}

/// Shows a parameter of any other type.
pub trait DescribedOther {
    /// Two dots in place of the value.
    fn value(&self) -> &'static dyn fmt::Debug {
        &Unshown
    }
}

/// A value that cannot be shown.
struct Unshown;

impl fmt::Debug for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl<T> DescribedOther for Described<'_, T> {}

/// Writes parameters one after the other, and checks that they are what the schema says.
#[derive(Debug)]
pub struct Encoder {
    bytes: Vec<u8>,
    schema: &'static Schema,
    /// How many parameters have been written.
    next: usize,
    /// Where each of them ends, if that is asked.
    ends: Option<Vec<(&'static str, usize)>>,
}

impl Encoder {
    /// Creates a writer with room for `len` bytes, which grows if necessary.
    #[inline]
    pub(crate) fn with_room(schema: &'static Schema, len: usize) -> Self {
        Self { bytes: Vec::with_capacity(len), schema, next: 0, ends: None }
    }

    /// Notes where each parameter ends.
    pub(crate) fn with_ends(self) -> Self {
        Self { ends: Some(Vec::new()), ..self }
    }

    /// Returns the name of each parameter and where it ends, if that was asked.
    pub(crate) fn into_ends(self) -> Vec<(&'static str, usize)> {
        self.ends.unwrap_or_default()
    }

    /// Returns the written bytes.
    #[inline]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends the parameter `name`.
    ///
    /// # Errors
    /// The value cannot be written, or is written as something else than its type reads.
    pub fn parameter<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), UnreadableError> {
        let Some(parameter) = self.schema.parameters().get(self.next) else {
            return Err(UnreadableError::of_parameter(name, "was not traced"));
        };
        self.next += 1;
        check::append(&mut self.bytes, self.schema.nodes(), parameter.node, value)
            .map_err(|found| UnreadableError::of_parameter(name, found.reason(name)))?;
        if let Some(ends) = &mut self.ends {
            ends.push((name, self.bytes.len()));
        }
        Ok(())
    }
}

/// Reads parameters one after the other.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from the front of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl Decoder<'_> {
    /// The number of unread bytes.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Reads the parameter `name` from the front.
    ///
    /// # Errors
    /// The codec cannot read a value of this type.
    // Not `DeserializeOwned`: serde has no advice for its absence.
    pub fn parameter<T: for<'de> Deserialize<'de>>(
        &mut self,
        name: &'static str,
    ) -> Result<T, UnreadableError> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|e| {
            UnreadableError::of_parameter(name, format!("cannot be read back: {}", advice(e)))
        })?;
        self.rest = rest;
        Ok(value)
    }
}

fn advice(error: postcard::Error) -> String {
    match error {
        postcard::Error::WontImplement => {
            format!(
                "its type needs a self-describing format, which postcard is not: {}",
                remedy::WRAP
            )
        }
        postcard::Error::SerdeDeCustom => {
            "its own `Deserialize` refuses what its `Serialize` has written".to_owned()
        }
        error => error.to_string(),
    }
}
