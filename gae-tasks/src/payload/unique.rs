//! The key of a task that is unique by its args: a hash of its kind and of the values of chosen
//! parameters, whatever the order and the widths in which they are written.
//!
//! Fields and parameters count by name, in the order of their names, and entries of maps in the
//! order of their keys. What is `None`, and a parameter that has its default, counts as absent. A
//! number is its digits, whatever its width; a `char` is a text.

mod digest;
mod walk;

#[cfg(test)]
mod tests;

use self::digest::digest;
use self::walk::{Walk, first_name, is_absent, put_text};
use super::UnreadableError;
use super::parameter::DefaultOf;
use super::resolve::{Failure, Reason, Step};
use super::schema::Schema;
use super::schema::node::Member;

/// The version of the algorithm; another one makes other keys.
const VERSION: u8 = 1;

/// The sorts of keys, so that a text is never the key of args.
const OF_ARGS: u8 = 0;
const OF_TEXT: u8 = 1;

/// Returns the key that a caller gave to a task of this kind.
pub(crate) fn key_of_text(kind: &str, text: &str) -> [u8; 16] {
    let mut hashed = vec![VERSION, OF_TEXT];
    put_text(&mut hashed, kind);
    put_text(&mut hashed, text);
    cut(&hashed)
}

/// Returns the key of a payload of this kind, which was written under `schema`, by its `chosen`
/// parameters, or by all.
///
/// # Errors
/// A chosen parameter is not in the schema, or the bytes are not what the schema says.
pub(crate) fn key_of_args(
    kind: &str,
    (schema, payload): (&Schema, &[u8]),
    chosen: Option<&[&str]>,
    defaults: &[DefaultOf],
) -> Result<[u8; 16], UnreadableError> {
    if let Some(missing) = chosen.and_then(|chosen| first_missing(schema, chosen)) {
        let of = format!("has no parameter `{missing}`, by which the task is to be unique");
        return Err(UnreadableError::of_payload(of));
    }
    let unread = |failure: Failure| UnreadableError::of_path(&failure.path(), failure.to_string());
    let mut values = values(schema, payload, chosen, defaults).map_err(unread)?;
    values.sort_unstable();
    let mut hashed = vec![VERSION, OF_ARGS];
    put_text(&mut hashed, kind);
    for (name, value) in values {
        put_text(&mut hashed, name);
        hashed.extend(value);
    }
    Ok(cut(&hashed))
}

fn first_missing<'a>(schema: &Schema, chosen: &[&'a str]) -> Option<&'a str> {
    let is_known = |name: &str| schema.parameters().iter().any(|one| one.is_named(name));
    chosen.iter().copied().find(|name| !is_known(name))
}

/// Returns the parameters that count, each in its canonical form.
fn values<'a>(
    schema: &'a Schema,
    payload: &'a [u8],
    chosen: Option<&[&str]>,
    defaults: &[DefaultOf],
) -> Result<Vec<(&'a str, Vec<u8>)>, Failure> {
    let mut walk = Walk::new(schema, payload);
    let mut values = Vec::new();
    for parameter in schema.parameters() {
        let name = first_name(parameter);
        let within = |failure: Failure| failure.within(Step::Field(name));
        if chosen.is_some_and(|chosen| !chosen.iter().any(|one| parameter.is_named(one))) {
            walk.skip(parameter.node).map_err(within)?;
            continue;
        }
        let value = walk.value(parameter.node).map_err(within)?;
        if !is_absent(&value) && !is_default(schema, parameter, &value, defaults) {
            values.push((name, value));
        }
    }
    match walk.left() {
        0 => Ok(values),
        left => Err(Reason::TooLong(left).into()),
    }
}

/// Whether a parameter has its default. A default that cannot be read is not known.
fn is_default(schema: &Schema, parameter: &Member, value: &[u8], defaults: &[DefaultOf]) -> bool {
    let known = defaults.iter().find(|known| parameter.is_named(known.name));
    let Some(bytes) = known.and_then(|known| (known.bytes)()) else { return false };
    let default = Walk::new(schema, &bytes).value(parameter.node);
    default.is_ok_and(|default| default == value)
}

/// The first half of the digest.
fn cut(hashed: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&digest(hashed)[..16]);
    key
}
