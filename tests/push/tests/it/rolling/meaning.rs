//! What was meant, in the words of each version: written by hand for each function, without the
//! schemas.

use gae_tasks_tests_push::rolling::Version::{self, Gone, New, Old};
use serde_json::{Value, json};

/// The functions whose tasks of the first version are read by the second, for some values.
pub(super) const READ: [(Version, Version, &[&str]); 2] = [
    (
        Old,
        New,
        &[
            "swap", "reorder", "rename", "add", "remove", "vary", "widen", "narrow", "split",
            "nest", "relocate",
        ],
    ),
    (New, Old, &["swap", "reorder", "vary", "widen", "narrow"]),
];

/// The functions whose tasks of the first version wait for another than the second, for some
/// values.
pub(super) const LEFT: [(Version, Version, &[&str]); 4] = [
    (Old, New, &["narrow", "split", "retype"]),
    (
        New,
        Old,
        &["rename", "add", "remove", "vary", "widen", "split", "nest", "relocate", "retype"],
    ),
    (Gone, Old, &["narrow", "retype"]),
    (Gone, New, &["narrow", "retype"]),
];

/// What a function of `reader` is to be called with for a task that `writer` has deferred with
/// `values`; or why it must not be called, in words that the reason is to contain.
pub(super) fn read(
    edit: &str,
    writer: Version,
    reader: Version,
    values: &Value,
) -> Result<Value, &'static str> {
    if writer == reader {
        return Ok(values.clone());
    }
    let number = &values["number"];
    match (edit, writer, reader) {
        ("swap" | "reorder", ..) => Ok(values.clone()),
        ("rename", Old, _) => Ok(json!({"number": number, "cents": values["amount"]})),
        ("rename", ..) => Err("`cents`"),
        ("add", Old, _) => {
            let user = &values["user"];
            Ok(json!({"number": number, "user": user, "currency": "EUR", "note": null}))
        }
        ("add", ..) => Err("`currency`"),
        ("remove", Old, _) => Ok(json!({"number": number, "user": values["user"]})),
        ("remove", ..) => Err("`note`"),
        ("vary", ..) if values["action"].get("Warn").is_some() => {
            Err("is a variant that is not known here")
        }
        ("vary", ..) => Ok(values.clone()),
        ("widen", _, Old) if values["cents"].as_u64() > Some(u32::MAX.into()) => {
            Err("parameter `cents` holds a number that is out of the range of u32")
        }
        ("widen", ..) => Ok(values.clone()),
        ("narrow", _, Old) if values["percent"].as_u64().is_none() => {
            Err("parameter `percent` holds a number that is out of the range of u64")
        }
        ("narrow", _, New) if values["percent"].as_u64().is_none_or(|value| value > 255) => {
            Err("parameter `percent` holds a number that is out of the range of u8")
        }
        ("narrow", ..) => Ok(values.clone()),
        ("split", Old, _) => match values["name"].as_str().and_then(|name| name.split_once(' ')) {
            Some((first, last)) => Ok(json!({"number": number, "first": first, "last": last})),
            None => Err("the upgrade `from_v1` refuses the value"),
        },
        ("split", ..) => Err("`first`"),
        ("nest", Old, _) => {
            let item =
                |item: &Value| json!({"id": item["id"], "price": item["cents"], "gift": false});
            let items: Vec<_> =
                values["items"].as_array().into_iter().flatten().map(item).collect();
            Ok(json!({"number": number, "items": items}))
        }
        ("nest", ..) => Err("`items"),
        ("relocate", Old, _) => Ok(values.clone()),
        ("relocate", ..) => Err("no task of kind `rolling/relocate` is registered"),
        ("retype", ..) => Err("parameter `stars`: was a"),
        _ => panic!("`{edit}` of {writer:?} is not known"),
    }
}
