//! Encodes parameters as bytes: postcard, one after the other.

mod beside;
mod check;
#[cfg(feature = "json")]
mod json;
mod parameter;
mod reading;
mod remedy;
pub(crate) mod resolve;
pub(crate) mod schema;
mod sensitive;
mod show;
pub(crate) mod trace;
mod unique;
mod unreadable;
mod upgrade;

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

pub(crate) use self::beside::bytes_beside;
#[cfg(feature = "json")]
pub use self::json::Json;
pub use self::parameter::{DefaultOf, DefaultParameter, Parameter, default_bytes};
pub use self::reading::Readings;
pub(crate) use self::reading::{CannotRead, Decision, Reading};
#[cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, unused_imports, reason = "public in the test kit")
)]
pub use self::resolve::{Difference, Reader, Resolution};
use self::resolve::{Failure, Parameters, Reason};
pub use self::schema::{Schema, SchemaError};
pub use self::sensitive::SensitivePaths;
pub(crate) use self::sensitive::sensitive_paths;
pub(crate) use self::show::{as_json, names_something};
pub use self::trace::{TraceDeserialize, TraceOther, Traceable, Tracer};
pub(crate) use self::unique::{key_of_args, key_of_text};
pub use self::unreadable::UnreadableError;
pub use self::upgrade::{UpgradesTo, Upgrading, no_upgrade};
use crate::task::Redacted;

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

/// Writes parameters one after the other, and checks that they are what the schema says.
pub struct Encoder {
    bytes: Vec<u8>,
    schema: &'static Schema,
    /// How many parameters have been written.
    next: usize,
    /// Where each of them ends, if that is asked.
    ends: Option<Vec<Ended>>,
}

/// A parameter that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) name: &'static str,
    /// The name of its type.
    pub(crate) of: &'static str,
    /// How many bytes there were after it.
    end: usize,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("bytes", &Redacted(&self.bytes)).finish_non_exhaustive()
    }
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

    /// Returns where each parameter ends, if that was asked.
    pub(crate) fn into_ends(self) -> Vec<Ended> {
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
        check::append(&mut self.bytes, self.schema.nodes(), parameter.node, value).map_err(
            |found| UnreadableError::of_type(name, type_name::<T>(), found.reason(name)),
        )?;
        if let Some(ends) = &mut self.ends {
            ends.push(Ended { name, of: type_name::<T>(), end: self.bytes.len() });
        }
        Ok(())
    }
}

/// Reads parameters: one after the other under the schema that they were written under, by name
/// under another.
pub struct Decoder<'a> {
    rest: &'a [u8],
    resolved: Option<Resolved<'a>>,
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("rest", &Redacted(self.rest)).finish_non_exhaustive()
    }
}

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
        resolve::read_any(schema, bytes, seed).map_err(|e| of_failure(&e))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Bytes are left over.
    pub fn end(&mut self) -> Result<(), UnreadableError> {
        if let Some(resolved) = &mut self.resolved {
            return resolved.parameters.end().map_err(|e| of_failure(&e));
        }
        match self.rest.len() {
            0 => Ok(()),
            left => Err(of_failure(&Reason::TooLong(left).into())),
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
            let reason = format!("cannot be read back: {}", advice(e));
            UnreadableError::of_type(name, type_name::<T>(), reason)
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
        of_failure(failure)
    }
}

#[cold]
fn of_failure(failure: &Failure) -> UnreadableError {
    let path = failure.path();
    let error = UnreadableError::of_path(&path, failure.to_string());
    if failure.is_missing() { error.of_missing(path) } else { error }
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
