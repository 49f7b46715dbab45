//! The assert and a worker agree about each pair of types.

use std::sync::Arc;

use super::super::change::{Change, Place};
use super::super::compare::compared;
use super::super::walk;
use super::*;
use crate::payload::Resolution;

const TYPES: &[&str] = &[
    "()",
    "bool",
    "u8",
    "i16",
    "u64",
    "i128",
    "f32",
    "f64",
    "char",
    "String",
    "bytes",
    "Option<()>",
    "Option<u8>",
    "Option<Option<u64>>",
    "Vec<u8>",
    "Vec<String>",
    "[u8; 2]",
    "[String; 2]",
    "(String, u8)",
    "Map<u8, u8>",
    "Map<String, u64>",
    "Map<Option<u8>, ()>",
    "{}",
    "{a: u8}",
    "{b|a: u64, c: Option<u8>}",
    "{a: u8, b: u8}",
    "{a|b: u8}",
    "enum {A, B(u8)}",
    "enum {B(u64), C}",
    "enum {C|A}",
    "enum {C|A|B(u16)}",
    "enum {A(u8), B(u8)}",
];

/// The parameter `it` in all places where a type may stand.
fn places(ty: &str) -> [String; 7] {
    [
        format!("(it: {ty})"),
        format!("(it: {{it: {ty}}})"),
        format!("(it: Vec<{ty}>)"),
        format!("(it: Option<({ty}, u8)>)"),
        format!("(it: enum {{It({ty})}})"),
        format!("(it: Map<u8, {ty}>)"),
        format!("(it: Map<{ty}, u8>)"),
    ]
}

#[test]
fn the_assert_refuses_what_a_worker_cannot_read_and_nothing_else() {
    let (mut read, mut refused) = (0, 0);
    for (before, after) in TYPES.iter().flat_map(|one| TYPES.iter().map(move |other| (one, other)))
    {
        for (before, after) in places(before).iter().zip(&places(after)) {
            let (writer, task) = (schema(before), task(after));
            let resolved =
                Resolution::between(Arc::new(writer.clone()), &task.read_by.function).is_ok();
            let compared = compared(writer, &task);
            let name = format!("{before} {after}: {compared:?}");
            assert_eq!(compared.read.is_some(), resolved, "{name}");
            assert_eq!(compared.changes.iter().any(Change::fails), !resolved, "{name}");
            let walk = walk::changes(writer, &task.read_by.function, Place::Parameter);
            let walk_refuses = walk.iter().any(Change::refuses);
            // Only for this the walk has no words of its own.
            let is_of_variants = name.contains("none of its variants is known here");
            assert_eq!(walk_refuses || is_of_variants, !resolved, "{name}");
            *(if resolved { &mut read } else { &mut refused }) += 1;
        }
    }
    assert!(read > 500 && refused > 3_000, "{read} read, {refused} refused");
}
