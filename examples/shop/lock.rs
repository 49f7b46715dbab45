//! Whether the tasks of the shop that wait can run after an edit.
//!
//! After one that is meant: `GAE_TASKS_LOCK=write cargo test -p gae-tasks-examples --test shop`
#![allow(dead_code)] // What only the example itself uses.

mod gateway;
mod orders;

#[test]
fn tasks_that_wait_can_run() {
    gae_tasks::testing::assert_lock!();
}
