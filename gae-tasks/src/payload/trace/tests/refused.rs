//! Types that have no schema, and the messages about them.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(tag = "t")]
enum Internal {
    A { x: u8 },
    B,
}

#[derive(Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    A(u8),
    B,
}

#[derive(Deserialize)]
#[serde(tag = "t", content = "c")]
enum AdjacentUnits {
    A,
    B,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Untagged {
    A(u8),
    B(String),
}

#[derive(Deserialize)]
struct Flat {
    a: u8,
    #[serde(flatten)]
    rest: Inner,
}

#[derive(Deserialize)]
struct Inner {
    b: u8,
}

#[derive(Deserialize)]
enum FlatVariant {
    Plain,
    Flat {
        a: u8,
        #[serde(flatten)]
        rest: Inner,
    },
}

#[derive(Deserialize)]
struct Within<T> {
    before: u8,
    inner: Vec<Level<T>>,
}

#[derive(Deserialize)]
enum Level<T> {
    None,
    Some { deep: BTreeMap<String, (u8, T)> },
}

/// Which cases have messages of their own, and what helps beside `Json<T>`.
#[test]
fn what_asks_for_anything_is_refused_with_its_place_and_json() {
    const ANY: &str = "asks the format what comes next, which a payload does not say";
    const NAMES: &str = "asks for the names of fields outside of a struct";
    for (text, place, asks, what, remedy) in [
        (text::<Internal>(), "`p`", ANY, "an internally tagged enum (", "remove the attribute"),
        (text::<Untagged>(), "`p`", ANY, "an untagged enum (", "remove the attribute"),
        (text::<Adjacent>(), "`p`", ANY, "an adjacently tagged enum (", "remove the attribute"),
        (text::<AdjacentUnits>(), "`p`", ANY, "an adjacently tagged enum (", "remove the"),
        (text::<Flat>(), "`p`", NAMES, "`#[serde(flatten)]`", "a field of its own"),
        (text::<FlatVariant>(), "`p::Flat`", NAMES, "`#[serde(flatten)]`", "a field of its own"),
        (
            text::<Within<Untagged>>(),
            "`p.inner[]::Some.deep{value}.1`",
            ANY,
            "an untagged enum (",
            "remove the attribute",
        ),
        (
            text::<Within<Internal>>(),
            "`p.inner[]::Some.deep{value}.1`",
            ANY,
            "internally",
            "remove",
        ),
        (text::<Vec<Adjacent>>(), "`p[]`", ANY, "adjacently", "remove the attribute"),
        (text::<serde::de::IgnoredAny>(), "`p`", ANY, "`IgnoredAny`", "wrap the parameter"),
        (
            text::<Amount>(),
            "`p`",
            ANY,
            "it expects \"an amount, as text or number\"",
            "`#[serde(with",
        ),
    ] {
        let names_type = text.starts_with("parameter `p` (`");
        let says = text.contains(&format!("`) cannot be stored: {place} {asks}"));
        assert!(names_type && says && text.contains("`gae_tasks::Json<T>`"), "{text}");
        assert!(text.contains(what) && text.contains(remedy), "{text}");
    }
}

/// Asks for anything by hand, in words of many lines.
struct Amount;

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl serde::de::Visitor<'_> for Any {
            type Value = Amount;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an amount,\n as text or number")?;
                f.write_str(&"\n".repeat(100_000))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(feature = "json")]
#[test]
fn json_is_refused_bare_and_is_a_text_in_its_wrapper() {
    let bare = text::<serde_json::Value>();
    assert!(bare.contains("asks the format what comes next"), "{bare}");
    assert!(bare.contains("JSON of any form (`serde_json::Value`)"), "{bare}");
    assert!(text::<serde_json::Map<String, serde_json::Value>>().contains("`p{value}`"));
    assert_eq!(text::<crate::Json<serde_json::Value>>(), "String");
    assert_eq!(text::<crate::Json<Untagged>>(), "String");
    assert_eq!(text::<Within<crate::Json<Flat>>>().matches("String").count(), 2);
}

#[test]
fn what_differs_by_platform_is_refused() {
    let text = text::<Option<OsString>>();
    assert!(text.contains("`p` is an `OsString`") && text.contains("`PathBuf`"), "{text}");
}

#[derive(Deserialize)]
struct Endless(Box<Endless>);

#[derive(Deserialize)]
struct Valueless {
    before: u8,
    again: Box<Valueless>,
}

#[test]
fn what_has_no_value_is_refused() {
    assert!(text::<Endless>().contains("128 levels"));
    assert!(text::<Valueless>().contains("has no value"), "{}", text::<Valueless>());
}

/// Judges what it reads.
#[derive(Deserialize)]
#[serde(try_from = "u64")]
struct Picky;

impl TryFrom<u64> for Picky {
    type Error = &'static str;

    fn try_from(_: u64) -> Result<Self, Self::Error> {
        Err("never")
    }
}

/// Panics where it is given a value.
#[derive(Deserialize)]
#[serde(from = "u64")]
struct Bomb;

impl From<u64> for Bomb {
    fn from(_: u64) -> Self {
        panic!("on a value that was made up")
    }
}

#[test]
fn what_reads_on_after_values_that_cannot_be_guessed_is_refused() {
    assert_eq!(text::<Picky>(), "u64");
    assert_eq!(text::<Option<Bomb>>(), "Option<u64>");
    let text_of_tuple = text::<(u8, Picky, u8)>();
    assert!(text_of_tuple.contains("`p.2` cannot be traced"), "{text_of_tuple}");
    let text_of_bomb = text::<(u8, Bomb, u8)>();
    assert!(text_of_bomb.contains("`p.2` cannot be traced: its type panics"), "{text_of_bomb}");
}

/// Asks for something else each time.
struct Fickle;

impl<'de> Deserialize<'de> for Fickle {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use std::sync::atomic::{AtomicU8, Ordering};
        static COUNT: AtomicU8 = AtomicU8::new(0);
        match COUNT.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => <std::ops::Bound<u8>>::deserialize(deserializer).map(|_| Self),
            _ => <Option<u8>>::deserialize(deserializer).map(|_| Self),
        }
    }
}

#[test]
fn a_type_that_changes_its_mind_ends() {
    let text = text::<(Fickle, String)>();
    assert!(text.contains("`p.0` cannot be traced"), "{text}");
}

/// Asks for a sequence of the length that a number before says, as no format should be asked.
struct Huge;

impl<'de> Deserialize<'de> for Huge {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(usize::MAX / 4, serde::de::IgnoredAny).map(|_| Self)
    }
}

#[test]
fn a_type_of_too_many_parts_is_refused() {
    assert!(text::<Huge>().contains("65,536 parts"), "{}", text::<Huge>());
}
