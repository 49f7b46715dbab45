//! Why tasks are not run or two registrations clash, in words, and what to do.

use crate::payload::CannotRead;
use crate::registration::Registration;
use crate::task::Shape;

/// Why a payload of `shape` cannot be read by this task.
pub(super) fn explain_shape(
    registration: &Registration,
    kind: &str,
    shape: Shape,
    schema: Option<&[u8]>,
) -> String {
    match registration.reading(shape, schema) {
        Err(CannotRead::NoOwnSchema(_)) => no_schema(registration).unwrap_or_default(),
        Err(why) => format!(
            "the function at {} cannot read this payload of `{kind}`, of shape {shape}: {why}",
            registration.location
        ),
        Ok(_) => format!("the function at {} reads this payload", registration.location),
    }
}

/// Why values of a route are not read, although its payloads can be.
pub(crate) fn explain_refused(registration: &Registration, kind: &str) -> String {
    format!(
        "the function at {} could not read the values of these tasks of `{kind}`, and tries each \
         again after a pause: `TaskRecord::errors` has the reason for each",
        registration.location
    )
}

/// Why a task has no schema, if it has none.
pub(super) fn no_schema(registration: &Registration) -> Option<String> {
    let error = registration.schema().err()?;
    Some(format!("task `{}` at {}: {error}", registration.kind, registration.location))
}

/// Explains why two registrations have the same kind, and what to do.
pub(super) fn duplicate(kind: &str, first: &Registration, second: &Registration) -> String {
    let (first_at, second_at) = (first.location, second.location);
    if std::ptr::eq(first, second) {
        format!("the task `{kind}` at {second_at} has its own kind as an alias: remove the alias")
    } else if first_at == second_at {
        format!(
            "the task `{kind}` at {second_at} is registered twice, as its module is compiled \
             twice: is there the same `mod ..;` in `main.rs` and in `lib.rs`? keep that of the \
             library, and `use` it in `main.rs`"
        )
    } else {
        format!(
            "two tasks have the kind `{kind}`, at {first_at} and at {second_at}: give one of them \
             a different `name = \"..\"`"
        )
    }
}

/// How to give the client a state of type `wanted`, considering the types it was `given`.
pub(super) fn advice(wanted: &str, given: &[&str]) -> String {
    const ARC: &str = "alloc::sync::Arc<";
    let inner = wanted.strip_prefix(ARC).and_then(|name| name.strip_suffix('>'));
    if let Some(inner) = inner.filter(|inner| given.contains(inner)) {
        return format!(
            "give its builder the `{inner}` in an `Arc`, or let the task take `&{}`",
            last_segment(inner)
        );
    }
    if given
        .iter()
        .any(|name| name.strip_prefix(ARC).and_then(|name| name.strip_suffix('>')) == Some(wanted))
    {
        return format!(
            "let the task take `&Arc<{}>`, or give the builder the value without its `Arc`",
            last_segment(wanted)
        );
    }
    if let Some(traits) = inner.and_then(|name| name.strip_prefix("dyn ")) {
        let traits: Vec<&str> = traits.split(" + ").map(last_segment).collect();
        return format!(
            "add `.state::<Arc<dyn {}>>(Arc::new(..))` to its builder, as state is found by the \
             type it is given as",
            traits.join(" + ")
        );
    }
    "add `.state(..)` to its builder".to_owned()
}

/// A type's name without its path, if it has no parameters.
fn last_segment(name: &str) -> &str {
    if name.contains('<') { name } else { name.rsplit("::").next().unwrap_or(name) }
}

/// A kind without the segment of its crate.
pub(super) fn without_crate(kind: &str) -> &str {
    kind.split_once(['.', '/']).map_or(kind, |(_, rest)| rest)
}
