//! Encodes parameters as bytes: postcard, one after the other.

pub(crate) mod parameter;
mod resolve;
pub(crate) mod schema;
mod trace;
mod unreadable;

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

pub use self::parameter::Parameter;
pub use self::resolve::{Difference, Reader, Resolution};
use self::resolve::{Failure, Parameters, Reason};
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

/// Reads parameters: one after the other under the schema that they were written under, by name
/// under another.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    resolved: Option<Resolved<'a>>,
}

#[derive(Debug)]
struct Resolved<'a> {
    resolution: &'a Resolution,
    parameters: Parameters<'a>,
    /// How many parameters were asked for.
    asked: usize,
}

impl<'a> Decoder<'a> {
    /// Reads from the front of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, resolved: None }
    }

    /// Reads `bytes`, which were written under the schema of the resolution's writer.
    ///
    /// # Errors
    /// Every payload of that schema was refused: see [`Resolution::refused`].
    pub fn resolved(resolution: &'a Resolution, bytes: &'a [u8]) -> Result<Self, UnreadableError> {
        if let Some(refused) = resolution.refused() {
            return Err(UnreadableError::of_payload(format!("cannot be read: {refused}")));
        }
        let parameters = resolution.parameters(bytes);
        let resolved = Resolved { resolution, parameters, asked: 0 };
        Ok(Self { rest: &[], resolved: Some(resolved) })
    }
}

impl Decoder<'_> {
    /// Reads all parameters that were written under `schema`, as one struct whose fields they are,
    /// into whatever `seed` makes of what was written, such as a `serde_json::Value`.
    ///
    /// It is given what JSON would have: bytes are a sequence of numbers, a variant is its name or
    /// a map of one entry, and an entry of a map whose keys are no texts is a sequence of two.
    ///
    /// # Errors
    /// The bytes are not what the schema says.
    pub fn read_any<S: for<'de> DeserializeSeed<'de, Value = V>, V>(
        schema: &Schema,
        bytes: &[u8],
        seed: S,
    ) -> Result<V, UnreadableError> {
        resolve::read_any(schema, bytes, seed).map_err(|failure| failed(&failure))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Bytes are left over.
    pub(crate) fn end(&mut self) -> Result<(), UnreadableError> {
        if let Some(resolved) = &mut self.resolved {
            return resolved.parameters.end().map_err(|failure| failed(&failure));
        }
        match self.rest.len() {
            0 => Ok(()),
            left => Err(failed(&Reason::TooLong(left).into())),
        }
    }

    /// Reads the parameter `name`: the next one, or by name.
    ///
    /// # Errors
    /// A value of this type cannot be read, or there is none.
    // Not `DeserializeOwned`: serde has no advice for its absence.
    pub fn parameter<T: for<'de> Deserialize<'de>>(
        &mut self,
        name: &'static str,
    ) -> Result<T, UnreadableError> {
        match &mut self.resolved {
            None => self.next(name),
            Some(resolved) => resolved.read(name)?.map_or_else(|| resolved.absent(name), Ok),
        }
    }

    /// Reads the parameter `name`, or makes a `default` where the writer had no such parameter.
    ///
    /// # Errors
    /// A value of this type cannot be read.
    pub fn parameter_or<T: for<'de> Deserialize<'de>>(
        &mut self,
        name: &'static str,
        default: fn() -> T,
    ) -> Result<T, UnreadableError> {
        match &mut self.resolved {
            None => self.next(name),
            Some(resolved) => Ok(resolved.read(name)?.unwrap_or_else(default)),
        }
    }

    /// Reads all parameters as the fields of a struct.
    ///
    /// # Errors
    /// The struct cannot be read from them.
    pub fn fields<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, UnreadableError> {
        if let Some(resolved) = &mut self.resolved {
            let fields = resolved.resolution.fields();
            return resolved
                .parameters
                .fields(fields, PhantomData::<T>)
                .map_err(|e| resolved.failed(&e));
        }
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|e| {
            UnreadableError::of_payload(format!("cannot be read back: {}", advice(e)))
        })?;
        self.rest = rest;
        Ok(value)
    }

    fn next<T: for<'de> Deserialize<'de>>(
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

impl Resolved<'_> {
    /// Reads the parameter `name`; `None` if the writer had none.
    fn read<T: for<'de> Deserialize<'de>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, UnreadableError> {
        let source = self.resolution.source(name, self.asked);
        self.asked += 1;
        let Some(at) = source else { return Ok(None) };
        self.parameters.read(at, name).map(Some).map_err(|e| self.failed(&e))
    }

    fn absent<T: for<'de> Deserialize<'de>>(
        &self,
        name: &'static str,
    ) -> Result<T, UnreadableError> {
        Parameters::absent(name).map_err(|e| self.failed(&e))
    }

    #[cold]
    fn failed(&self, failure: &Failure) -> UnreadableError {
        self.resolution.remember(failure);
        failed(failure)
    }
}

#[cold]
fn failed(failure: &Failure) -> UnreadableError {
    match failure.path() {
        path if path.is_empty() => UnreadableError::of_payload(failure.to_string()),
        path => UnreadableError::of_parameter(&path, failure.to_string()),
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
