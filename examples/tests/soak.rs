//! The parts of the soak, with their tests, and a short one.
#![allow(dead_code)] // What only the example itself uses.

#[path = "../soak/crew.rs"]
mod crew;
#[path = "../soak/growth.rs"]
mod growth;
#[path = "../bench/latency.rs"]
mod latency;
#[path = "../soak/ledger.rs"]
mod ledger;
#[path = "../soak/mix.rs"]
mod mix;
#[path = "../soak/sample.rs"]
mod sample;
mod started;
#[path = "../soak/tasks.rs"]
mod tasks;

use crate::started::{example, is_empty, told};

#[test]
fn a_short_soak_passes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--minutes", "0.05", "--workers", "2", "--rate", "50", "--dir"];
    let output = example("soak").args(arguments).arg(folder.path()).output().unwrap();
    assert!(output.status.success() && told(&output).contains("PASSED"), "{}", told(&output));
    assert!(is_empty(folder.path()), "it leaves something behind");
}
