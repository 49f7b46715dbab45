//! Shows any payload as JSON, by the schema that it was written under and without its handler.
//!
//! Parameters and structs become objects, variants are tagged by their names, an option is its
//! value or null, a map whose keys are texts or have one is an object, and any other an array of
//! pairs. Bytes are hexadecimal digits. What is not a number of JSON (NaN, a wide integer) is a
//! text. A member that goes by several names is shown under the first.

mod hidden;
mod json;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use self::hidden::names_something;

use self::hidden::Ahead;
use self::json::Json;
use self::walk::Walk;
use super::UnreadableError;
use super::resolve::{Failure, Reason};
use super::schema::Schema;

/// The longest JSON that is made of a payload, in bytes.
const MOST: usize = 64 * 1024 * 1024;

/// JSON that any payload may become, in bytes, and how much more for each byte of the payload. A
/// byte may stand for a variant or a struct whose names are far longer, and a schema comes from
/// anybody.
const SPARE: usize = 64 * 1024;
const SPARE_OF_BYTE: usize = 256;

/// Shows a payload that was written under `schema`, without the values at the paths `sensitive`.
///
/// # Errors
/// The bytes are not what the schema says, nest deeper than 128 levels, or would become far more
/// JSON than they are.
pub(crate) fn as_json<P: AsRef<str>>(
    schema: &Schema,
    payload: &[u8],
    sensitive: &[P],
) -> Result<String, UnreadableError> {
    let spare = payload.len().saturating_mul(SPARE_OF_BYTE).saturating_add(SPARE);
    let most = spare.saturating_add(schema.as_bytes().len()).min(MOST);
    shown(schema, payload, &Ahead::of(sensitive), most)
        .map_err(|failure| UnreadableError::of_path(&failure.path(), failure.to_string()))
}

fn shown(
    schema: &Schema,
    payload: &[u8],
    sensitive: &Ahead<'_>,
    most: usize,
) -> Result<String, Failure> {
    let mut walk = Walk::new(schema, payload, Json::of_at_most(most));
    walk.fields(schema.parameters(), sensitive, 0)?;
    let (json, left) = walk.end();
    match left {
        0 => Ok(json),
        left => Err(Reason::TooLong(left).into()),
    }
}
