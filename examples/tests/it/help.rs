//! The `--help` of the examples.

use crate::started::{example, told};

/// The names in the manifest.
fn names() -> Vec<&'static str> {
    let manifest = include_str!("../../Cargo.toml");
    let sections = manifest.split("[[example]]\nname = \"").skip(1);
    let names: Vec<_> =
        sections.filter_map(|section| section.split_once('"')).map(|(name, _)| name).collect();
    assert!(names.len() > 8, "{names:?}");
    names
}

#[test]
fn every_example_explains_itself() {
    for name in names() {
        let output = example(name).arg("--help").output().unwrap();
        let told = told(&output);
        assert!(
            output.status.success() && told.contains(&format!("Usage: {name}")),
            "{name}: {told}"
        );
        let about = told.lines().next().unwrap_or_default();
        assert!(
            about.split_whitespace().count() > 3 && !told.contains("--worker <"),
            "{name}: {told}"
        );
    }
}

#[test]
fn a_flag_that_is_misspelt_starts_nothing() {
    for name in names() {
        let output = example(name).arg("--hlep").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {}", told(&output));
    }
}
