//! Equal values have one key, however they are written; other values have another.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::payload::Tracer;

fn schema<T: DeserializeOwned>() -> Schema {
    Tracer::schema(|tracer| tracer.parameter::<T>("p")).unwrap()
}

/// A schema in its readable form.
fn written(text: &str) -> Schema {
    text.parse().unwrap()
}

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap()
}

/// The key of one parameter.
fn key<T: Serialize + DeserializeOwned>(value: &T) -> [u8; 16] {
    key_of_args("shop/send", (&schema::<T>(), &bytes(value)), None, &[]).unwrap()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
    note: Option<String>,
    lines: Vec<(u8, f32)>,
    tags: BTreeMap<String, i16>,
}

/// The same, with its fields in another order, wider numbers, and one field more or less.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reordered {
    tags: BTreeMap<String, i64>,
    later: Option<bool>,
    lines: Vec<(u64, f64)>,
    id: Option<u128>,
    note: Option<String>,
}

fn orders() -> impl Strategy<Value = Order> {
    let note = proptest::option::of(".{0,4}");
    let lines = proptest::collection::vec((any::<u8>(), -8.0_f32..8.0), 0..3);
    let tags = proptest::collection::btree_map(".{0,3}", any::<i16>(), 0..4);
    (0..3_u32, note, lines, tags).prop_map(|(id, note, lines, tags)| Order {
        id,
        note,
        lines,
        tags,
    })
}

fn reordered(order: &Order) -> Reordered {
    Reordered {
        tags: order.tags.iter().map(|(tag, count)| (tag.clone(), i64::from(*count))).collect(),
        later: None,
        lines: order
            .lines
            .iter()
            .map(|(number, price)| ((*number).into(), (*price).into()))
            .collect(),
        id: Some(order.id.into()),
        note: order.note.clone(),
    }
}

/// A map that is written in the order given, as a `HashMap` may be.
struct Entries(Vec<(String, u8)>);

impl Serialize for Entries {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

proptest! {
    #[test]
    fn the_order_and_the_widths_do_not_matter(order in orders()) {
        prop_assert_eq!(key(&order), key(&reordered(&order)));
        prop_assert_eq!(key(&order), key(&Some(order.clone())));
        prop_assert_eq!(key(&order), key(&Box::new(order.clone())));
    }

    #[test]
    fn other_values_have_another_key(one in orders(), other in orders()) {
        prop_assert_eq!(key(&one) == key(&other), one == other);
    }

    #[test]
    fn entries_are_compared_in_any_order(
        map in proptest::collection::btree_map(".{0,3}", any::<u8>(), 0..6),
        by in any::<u64>(),
    ) {
        let sorted: Vec<_> = map.into_iter().collect();
        let mut shuffled = sorted.clone();
        shuffled.sort_by_key(|(key, value)| {
            crate::attributes::checksum(format!("{by} {key} {value}").as_bytes())
        });
        let schema = schema::<BTreeMap<String, u8>>();
        let of = |entries| {
            key_of_args("shop/send", (&schema, &bytes(&Entries(entries))), None, &[]).unwrap()
        };
        prop_assert_eq!(of(sorted), of(shuffled));
    }

    #[test]
    fn any_bytes_are_a_key_or_an_error(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        _ = key_of_args("shop/send", (&schema::<Order>(), &payload), None, &[]);
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Choice {
    Plain,
    Wrapped(u8),
    Fielded { size: u8 },
}

#[test]
fn values_of_different_sorts_have_different_keys() {
    let keys = [
        key(&1_u8),
        key(&-1_i8),
        key(&1.0_f64),
        key(&"1".to_owned()),
        key(&true),
        key(&()),
        key(&vec![1_u8]),
        key(&vec![vec![1_u8]]),
        key(&vec![1_u8, 2]),
        key(&vec![2_u8, 1]),
        key(&BTreeMap::from([(1_u8, 2_u8)])),
        key(&Choice::Plain),
        key(&Choice::Wrapped(1)),
        key(&Choice::Fielded { size: 1 }),
        key_of_text("shop/send", "1"),
    ];
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[test]
fn values_that_are_equal_have_one_key() {
    assert_eq!(key(&0.0_f64), key(&-0.0_f64));
    assert_eq!(key(&f32::NAN), key(&-f64::NAN));
    assert_eq!(key(&'x'), key(&"x".to_owned()));
    assert_eq!(key(&[1_u8, 2]), key(&(1_u64, 2_i32)));
    assert_eq!(key(&None::<u8>), key(&()));
}

/// Two parameters: `user` and `note`.
fn two(user: u64, note: Option<&str>) -> (Schema, Vec<u8>) {
    let schema = Tracer::schema(|tracer| {
        tracer.parameter::<u64>("user")?;
        tracer.parameter::<Option<String>>("note")
    });
    (schema.unwrap(), bytes(&(user, note)))
}

fn of_two(user: u64, note: Option<&str>, chosen: Option<&[&str]>) -> [u8; 16] {
    let (schema, payload) = two(user, note);
    key_of_args("shop/send", (&schema, &payload), chosen, &[]).unwrap()
}

#[test]
fn only_chosen_parameters_count() {
    let by_user = Some(&["user"][..]);
    assert_eq!(of_two(7, Some("a"), by_user), of_two(7, None, by_user));
    assert_ne!(of_two(7, None, by_user), of_two(8, None, by_user));
    assert_ne!(of_two(7, Some("a"), None), of_two(7, Some("b"), None));
    assert_eq!(of_two(7, None, by_user), of_two(7, None, None), "what is `None` is absent");
}

#[test]
fn names_and_kinds_count() {
    let of = |kind, schema| {
        let schema = written(schema);
        key_of_args(kind, (&schema, &bytes(&1_u8)), None, &[]).unwrap()
    };
    assert_ne!(of("shop/send", "(p: u8)"), of("shop/send", "(q: u8)"));
    assert_ne!(of("shop/send", "(p: u8)"), of("shop/sen", "(dp: u8)"));
    assert_ne!(key_of_text("a", "bc"), key_of_text("ab", "c"));
}

#[test]
fn a_parameter_with_its_default_counts_as_absent() {
    let defaults = [DefaultOf { name: "user", bytes: || Some(vec![7]) }];
    let of = |user| {
        let (schema, payload) = two(user, Some("a"));
        key_of_args("shop/send", (&schema, &payload), None, &defaults).unwrap()
    };
    let absent = {
        let (schema, payload) = (written("(note: String)"), bytes(&"a"));
        key_of_args("shop/send", (&schema, &payload), None, &[]).unwrap()
    };
    assert_eq!(of(7), absent);
    assert_ne!(of(8), absent);
}

#[test]
fn a_missing_parameter_is_named() {
    let (schema, payload) = two(7, None);
    let error = key_of_args("shop/send", (&schema, &payload), Some(&["usr"]), &[]).unwrap_err();
    assert!(error.to_string().contains("no parameter `usr`"), "{error}");
    let error = key_of_args("shop/send", (&schema, &[7][..]), None, &[]).unwrap_err();
    assert!(error.to_string().contains("note"), "{error}");
}

/// Stored keys are compared with those of later programs.
#[test]
fn the_algorithm_never_changes() {
    let mut hashed = vec![1, 0];
    hashed.extend(9_u64.to_be_bytes());
    hashed.extend(b"shop/send");
    hashed.extend(4_u64.to_be_bytes());
    hashed.extend(b"user");
    hashed.push(2);
    hashed.extend(1_u64.to_be_bytes());
    hashed.extend(b"7");
    assert_eq!(of_two(7, None, None), digest(&hashed)[..16]);
}
