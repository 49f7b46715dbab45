//! One parameter, traced, written, and read in place or by name, for tests and benchmarks of pairs
//! of types.

use serde::{Deserialize, Serialize};

use crate::payload::{Decoder, Encoder, Schema, Tracer, UnreadableError};

pub use crate::payload::{Difference, Reader, Resolution};

/// The schema of one parameter `p` of this type.
///
/// # Errors
/// It has none.
pub fn traced<T: for<'de> Deserialize<'de>>() -> Result<Schema, UnreadableError> {
    Tracer::schema(|tracer| tracer.parameter::<T>("p"))
}

/// The payload of one parameter, of the type that has this schema.
///
/// # Errors
/// The value cannot be written, or is written as something else than its type reads.
pub fn written<T: Serialize>(
    schema: &'static Schema,
    value: &T,
) -> Result<Vec<u8>, UnreadableError> {
    let mut encoder = Encoder::with_room(schema, 0);
    encoder.parameter("p", value)?;
    Ok(encoder.into_bytes())
}

/// Reads a payload of the same schema.
///
/// # Errors
/// The bytes are no such payload.
pub fn read_in_place<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, UnreadableError> {
    whole(Decoder::new(bytes))
}

/// Reads a payload of the resolution's writer.
///
/// # Errors
/// The payload cannot be read as a `T`.
pub fn read_by_name<T: for<'de> Deserialize<'de>>(
    resolution: &Resolution,
    bytes: &[u8],
) -> Result<T, UnreadableError> {
    whole(Decoder::resolved(resolution, bytes)?)
}

/// Passes over a payload without reading it.
///
/// # Errors
/// The bytes are not what the writer's schema says.
pub fn pass_over(resolution: &Resolution, bytes: &[u8]) -> Result<(), UnreadableError> {
    Decoder::resolved(resolution, bytes)?.end()
}

fn whole<T: for<'de> Deserialize<'de>>(mut decoder: Decoder<'_>) -> Result<T, UnreadableError> {
    let value = decoder.parameter("p")?;
    decoder.end()?;
    Ok(value)
}
