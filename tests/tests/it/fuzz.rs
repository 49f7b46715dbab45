//! Replays the kept inputs of the fuzz targets, and inputs like them.

use std::fs;
use std::path::Path;

use gae_tasks_tests_fuzzed::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Returns the kept inputs of a target.
fn kept(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let inputs: Vec<_> = entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

#[test]
fn every_kept_input_is_come_through() {
    for target in TARGETS {
        kept(target).iter().for_each(|input| (target.check)(input));
    }
}

/// Returns a kept input with some bytes replaced by none, fewer or more bytes.
fn like_a_kept_one() -> impl Strategy<Value = (Target, Vec<u8>)> {
    let changed =
        |(target, mut input, at, length, bytes): (Target, Vec<u8>, Index, usize, Vec<u8>)| {
            let start = at.index(input.len() + 1);
            let end = input.len().min(start + length);
            input.splice(start..end, bytes);
            (target, input)
        };
    select(TARGETS)
        .prop_flat_map(|target| {
            (
                Just(target),
                select(kept(&target)),
                any::<Index>(),
                0..4_usize,
                prop::collection::vec(any::<u8>(), 0..4),
            )
        })
        .prop_map(changed)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn inputs_like_the_kept_ones_are_come_through((target, input) in like_a_kept_one()) {
        (target.check)(&input);
    }

    #[test]
    fn any_bytes_are_come_through(
        target in select(TARGETS),
        input in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        (target.check)(&input);
    }
}
