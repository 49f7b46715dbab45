//! New fields: what made-up payloads show of their defaults, which no schema does.

use std::collections::BTreeMap;
use std::num::NonZeroU8;

use serde::{Deserialize, Deserializer};

use super::*;
use crate::payload::{Decoder, Reading, Tracer};

type Read = fn(&[u8], &Reading) -> Result<(), UnreadableError>;

/// A task whose parameter `it` is a `T`.
fn reads<T: for<'de> Deserialize<'de>>() -> Task<'static> {
    let schema = Tracer::schema(|tracer| tracer.parameter::<T>("it")).unwrap();
    let read: Read = |bytes, reading| match reading {
        Reading::ByName(resolution) => {
            Decoder::resolved(resolution, bytes)?.parameter::<T>("it").map(drop)
        }
        _ => Err(UnreadableError::of_payload("is not read by name")),
    };
    Task { trial: Box::leak(Box::new(Trial(read))), ..task(&schema.to_string()) }
}

/// What is said when tasks of `before` wait.
fn said<T: for<'de> Deserialize<'de>>(before: &str) -> Vec<Finding> {
    let file = first(&program([("shop/send", task(before))]));
    findings(&file, &program([("shop/send", reads::<T>())]))
}

#[derive(Deserialize)]
struct Needs {
    #[serde(rename = "id")]
    _id: u64,
    #[serde(rename = "note")]
    _note: String,
}

#[derive(Deserialize)]
struct Defaults {
    #[serde(rename = "id")]
    _id: u64,
    #[serde(rename = "note", default)]
    _note: String,
}

const PASTE: &str = "write `#[serde(default)]` on it";

#[test]
fn a_new_field_with_a_default_is_compatible_and_without_one_needs_it() {
    let found = said::<Needs>("(it: {id: u64})");
    assert_found("needed", &found, &[(ATTRIBUTE, false, PASTE)]);
    assert!(found[0].text.contains("field `it.note`") && !found[0].text.contains("confirms"));
    let found = said::<Defaults>("(it: {id: u64})");
    assert_found("default", &found, &[(COMPATIBLE, true, "field `it.note` is new")]);
}

#[derive(Deserialize)]
enum Or<T> {
    #[serde(rename = "Nothing")]
    _Nothing,
    #[serde(rename = "One")]
    _One(T),
}

#[test]
fn a_field_that_some_tasks_have_is_found_wherever_it_stands() {
    fn both<Needs: for<'de> Deserialize<'de>, Defaults: for<'de> Deserialize<'de>>(
        before: &str,
        path: &str,
    ) {
        let found = said::<Needs>(before);
        assert_found(before, &found, &[(ATTRIBUTE, false, PASTE)]);
        assert!(found[0].text.contains(&format!("field `{path}`")), "{found:?}");
        let found = said::<Defaults>(before);
        assert_found(before, &found, &[(COMPATIBLE, true, &format!("field `{path}` is new"))]);
    }
    both::<Vec<Needs>, Vec<Defaults>>("(it: Vec<{id: u64}>)", "it[].note");
    both::<Option<Needs>, Option<Defaults>>("(it: Option<{id: u64}>)", "it.note");
    both::<(u8, Needs), (u8, Defaults)>("(it: (u8, {id: u64}))", "it.1.note");
    both::<[Needs; 2], [Defaults; 2]>("(it: [{id: u64}; 2])", "it[].note");
    both::<Or<Needs>, Or<Defaults>>("(it: enum {Nothing, One {id: u64}})", "it::One.note");
    type Map<T> = BTreeMap<u8, Option<T>>;
    both::<Map<Needs>, Map<Defaults>>("(it: Map<u8, Option<{id: u64}>>)", "it{value}.note");
}

fn hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    Option::deserialize(deserializer)
}

#[derive(Deserialize)]
struct ReadsOptions {
    #[serde(rename = "after", deserialize_with = "hours")]
    _after: Option<u8>,
}

#[test]
fn an_option_that_is_read_in_its_own_way_needs_a_default() {
    let found = said::<ReadsOptions>("(it: {})");
    assert_found("own way", &found, &[(ATTRIBUTE, false, "field `it.after` is new")]);
}

#[derive(Deserialize)]
#[serde(try_from = "u8")]
struct Never;

impl TryFrom<u8> for Never {
    type Error = &'static str;

    fn try_from(_: u8) -> Result<Self, Self::Error> {
        Err("no value is one")
    }
}

struct Panics;

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer)?;
        panic!("whatever the value is")
    }
}

#[derive(Deserialize)]
struct Valid<T, N> {
    #[serde(rename = "count")]
    _count: T,
    #[serde(rename = "note")]
    _note: N,
}

#[test]
fn values_that_a_type_refuses_show_nothing() {
    let before = "(it: {count: u8})";
    let found = said::<Valid<Never, String>>(before);
    assert_found("refused", &found, &[(ATTRIBUTE, true, "GAE_TASKS_LOCK=write confirms")]);
    let found = said::<Valid<Panics, String>>(before);
    assert_found("panics", &found, &[(ATTRIBUTE, true, "GAE_TASKS_LOCK=write confirms")]);
    let found = said::<Valid<NonZeroU8, String>>(before);
    assert_found("another value is one", &found, &[(ATTRIBUTE, false, PASTE)]);
}

#[test]
fn one_field_at_a_time_is_proven_and_the_others_are_left_open() {
    let found = said::<(Needs, Valid<u8, u8>)>("(it: ({id: u64}, {count: u8}))");
    let expected =
        [(ATTRIBUTE, false, "field `it.0.note`"), (ATTRIBUTE, true, "field `it.1.note` is new")];
    assert_found("two", &found, &expected);
}

#[test]
fn an_older_schema_is_read_again_with_every_assert() {
    let file = first(&program([("shop/send", task("(it: Vec<{id: u64}>)"))]));
    let with = program([("shop/send", reads::<Vec<Defaults>>())]);
    let file = written(&file, &with);
    assert!(findings(&file, &with).is_empty());
    let without = program([("shop/send", reads::<Vec<Needs>>())]);
    let text = "which tasks may wait under, is not accepted: field `it[].note` is new";
    assert_found("lost", &findings(&file, &without), &[(ATTRIBUTE, false, text)]);
}
