//! The example `cron`: which tasks its days have.

use crate::started::{example, told};

#[test]
fn the_days_have_the_tasks_of_their_ticks() {
    let output = example("cron").output().unwrap();
    let told = told(&output);
    assert!(output.status.success(), "{told}");
    // On Thursday, on Friday, and once after the weekend, at which it was too late.
    assert_eq!(told.matches("the report of Paris").count(), 3, "{told}");
    assert!(told.contains("2026-01-02T08:00:00Z  the report"), "{told}");
    assert!(told.contains("2026-01-05T10:00:00Z  the report"), "{told}");
    // Those of the weekend are skipped.
    assert_eq!(told.matches("thumbnails are cleaned up").count(), 8, "{told}");
}
