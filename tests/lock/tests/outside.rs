//! The assert of an integration test.
#![allow(unused_variables)] // What the tasks do does not matter here.

use lock_shop as _;

#[gae_tasks::deferred]
fn of_the_integration_test(id: u64) {}

#[test]
fn outside() {
    gae_tasks::testing::assert_lock!();
}
