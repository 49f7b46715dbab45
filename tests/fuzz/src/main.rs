//! Passes the fuzzer's inputs to the target named by `FUZZ_TARGET`.
#![no_main]

use std::sync::LazyLock;

use gae_tasks_tests_fuzzed::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == wanted);
    let names = TARGETS.iter().map(|target| target.name);
    *found.unwrap_or_else(|| panic!("set FUZZ_TARGET to one of {names:?}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.check)(bytes));
