//! A short soak.

use crate::started::{example, is_empty, told};

#[test]
fn a_short_soak_passes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--minutes", "0.05", "--workers", "2", "--rate", "50", "--dir"];
    let output = example("soak").args(arguments).arg(folder.path()).output().unwrap();
    assert!(output.status.success() && told(&output).contains("PASSED"), "{}", told(&output));
    assert!(is_empty(folder.path()), "it leaves something behind");
}
