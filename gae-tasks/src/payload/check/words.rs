//! What is said where `Serialize` and `Deserialize` disagree.

use super::disagreement::Disagreement;
use crate::payload::remedy::WRAP;
use crate::payload::schema::node::{Member, Node};

const AGREE: &str = "make its `Serialize` and `Deserialize` agree";

/// A value of another kind than is read.
#[cold]
pub(super) fn kind(written: &str, asked: &Node) -> Disagreement {
    let asked = asked.words();
    Disagreement::new(format!("is written as {written}, but read as {asked}: {AGREE}, or {WRAP}"))
}

/// A tuple of another length than is read.
#[cold]
pub(super) fn arity(written: usize, asked: &Node) -> Disagreement {
    kind(&format!("a tuple of {written}"), asked)
}

/// A sequence or a map that has more or fewer entries than it says.
#[cold]
pub(super) fn count() -> Disagreement {
    Disagreement::new(
        "has more or fewer elements than its `Serialize` says before: make it say how many follow",
    )
}

/// A sequence or a map that does not say how many entries follow.
#[cold]
pub(super) fn no_count(kind: &str, hint: &str) -> Disagreement {
    Disagreement::new(format!(
        "is written as {kind} that does not say how many elements follow{hint}: collect them \
         first, or {WRAP}"
    ))
}

/// A field that is left out by `skip_serializing_if`.
#[cold]
pub(super) fn left_out(name: &str) -> Disagreement {
    let what = format!(
        "is left out when it is written (`skip_serializing_if`), but always read; \
         `#[serde(default)]` does not help here. Store every field always: remove \
         `skip_serializing_if`, or {WRAP}"
    );
    Disagreement::new(what).in_field(name)
}

/// A field in the place of the one at `next`, in a struct of which `len` fields are said to be
/// written.
#[cold]
pub(super) fn field(name: &str, members: &[Member], next: usize, len: usize) -> Disagreement {
    let place = members.iter().position(|member| member.is_named(name));
    let Some(asked) = members.get(next) else {
        return match place {
            Some(_) => order(name),
            None => not_read(name),
        };
    };
    match place {
        Some(place) if place > next && len < members.len() => not_written(asked),
        Some(_) => order(name),
        None if len > members.len() => not_read(name),
        None => renamed(name, asked),
    }
}

/// The end of a struct before the field `asked`.
#[cold]
pub(super) fn not_written(asked: &Member) -> Disagreement {
    let what = format!(
        "is read, but never written (`skip_serializing`); `#[serde(default)]` does not help here. \
         Use `#[serde(skip)]`, so that neither half has this field, or {WRAP}"
    );
    Disagreement::new(what).in_field(&asked.names[0])
}

fn not_read(name: &str) -> Disagreement {
    let what = format!(
        "is written, but never read (`skip_deserializing`): use `#[serde(skip)]`, so that neither \
         half has this field, or {WRAP}"
    );
    Disagreement::new(what).in_field(name)
}

fn order(name: &str) -> Disagreement {
    let what = format!("stands at another place when it is written than when it is read: {AGREE}");
    Disagreement::new(what).in_field(name)
}

fn renamed(name: &str, asked: &Member) -> Disagreement {
    let what = format!(
        "is written under the name `{name}` (`rename(serialize = ..)`), which is not read: give \
         both halves one name, or add `#[serde(alias = \"{name}\")]`"
    );
    Disagreement::new(what).in_field(&asked.names[0])
}

/// A variant that is read under another number or name, or not at all.
#[cold]
pub(super) fn variant(name: &str, index: u32, variants: &[Member]) -> Disagreement {
    let place = variants.iter().position(|variant| variant.is_named(name));
    let what = match (place, variants.get(index as usize)) {
        (Some(place), _) => format!(
            "is written as variant {index}, but read as variant {place}, as variants that are \
             skipped (`#[serde(skip)]`) stand before it: move them behind all others, or {WRAP}"
        ),
        (None, Some(_)) => format!(
            "is not read under this name (`rename(serialize = ..)` or `skip_deserializing`): give \
             both halves one name, or add `#[serde(alias = \"{name}\")]`"
        ),
        (None, None) => format!(
            "is written, but never read (`skip_deserializing`): use `#[serde(skip)]`, so that \
             neither half has this variant, or {WRAP}"
        ),
    };
    Disagreement::new(what).in_variant(name)
}
