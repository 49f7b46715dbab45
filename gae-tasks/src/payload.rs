//! Encodes parameters as bytes: postcard, one after the other.

mod parameter;
mod reading;
mod resolve;
pub(crate) mod schema;
mod trace;
mod upgrade;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::parameter::{DefaultParameter, Parameter};
pub use self::reading::Readings;
pub(crate) use self::reading::{CannotRead, Decision, Reading};
pub(crate) use self::resolve::{Difference, Reader, Resolution};
pub use self::schema::{Schema, SchemaError};
pub use self::trace::{TraceDeserialize, TraceOther, Traceable, Tracer};
pub use self::upgrade::{UpgradesTo, Upgrading, no_upgrade};

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

/// A value that cannot be shown, or that is sensitive.
pub struct Unshown;

impl fmt::Debug for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl<T> DescribedOther for Described<'_, T> {}

/// Why a payload cannot be written or read: the parameter and the codec's reason, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {reason}")]
pub struct UnreadableError {
    place: String,
    reason: String,
}

impl UnreadableError {
    fn of_parameter(parameter: &'static str, reason: impl Into<String>) -> Self {
        Self { place: format!("parameter `{parameter}`"), reason: reason.into() }
    }

    fn of_upgrade(upgrade: &'static str, reason: impl Into<String>) -> Self {
        Self { place: format!("the upgrade `{upgrade}`"), reason: reason.into() }
    }

    pub(crate) fn of_payload(reason: impl Into<String>) -> Self {
        Self { place: "the payload".to_owned(), reason: reason.into() }
    }
}

/// Writes parameters one after the other.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Creates a writer with room for `len` bytes, which grows if necessary.
    pub(crate) fn with_room(len: usize) -> Self {
        Self { bytes: Vec::with_capacity(len) }
    }

    /// Returns the written bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends the parameter `name`.
    ///
    /// # Errors
    /// The codec cannot write the value.
    pub fn parameter<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), UnreadableError> {
        postcard::serialize_with_flavor(value, Appended(&mut self.bytes))
            .map_err(|e| UnreadableError::of_parameter(name, format!("cannot be written: {e}")))
    }
}

/// Appends whole slices: postcard's own implementation appends byte by byte, which took twice the
/// time.
struct Appended<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
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

    /// Reads the parameter `name`, for which `default` stands if the payload was stored without it.
    ///
    /// # Errors
    /// As [`Self::parameter`].
    pub fn parameter_or<T: for<'de> Deserialize<'de>>(
        &mut self,
        name: &'static str,
        _default: fn() -> T,
    ) -> Result<T, UnreadableError> {
        // Under this program's own schema, every parameter is there.
        self.parameter(name)
    }

    /// Reads all parameters as the fields of `S`, a struct.
    ///
    /// # Errors
    /// The codec cannot read a value of this type.
    pub fn fields<S: for<'de> Deserialize<'de>>(&mut self) -> Result<S, UnreadableError> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|e| {
            UnreadableError::of_payload(format!("cannot be read back: {}", advice(e)))
        })?;
        self.rest = rest;
        Ok(value)
    }
}

fn advice(error: postcard::Error) -> String {
    match error {
        postcard::Error::WontImplement => {
            "its type needs a self-describing format, which postcard is not (untagged or flattened \
             enums, `serde_json::Value`): wrap it in `gae_tasks::Json<T>` (feature `json`)"
                .to_owned()
        }
        error => error.to_string(),
    }
}

/// A parameter that is stored as JSON inside the payload, for types that only a self-describing
/// format can read back: `serde_json::Value`, untagged and flattened enums, `skip_serializing_if`.
///
/// ```
/// use gae_tasks::{Json, deferred};
///
/// #[deferred]
/// async fn import(document: Json<serde_json::Value>) {
///     println!("{}", document.0["title"]);
/// }
/// ```
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

#[cfg(feature = "json")]
impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

#[cfg(feature = "json")]
impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}
