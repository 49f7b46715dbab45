//! Whether the tasks of the server that wait can run after an edit.
//!
//! After one that is meant: `GAE_TASKS_LOCK=write cargo test -p gae-tasks-examples --test web`
#![allow(dead_code)] // What only the example itself uses.

mod outbox;

#[test]
fn tasks_that_wait_can_run() {
    gae_tasks::testing::assert_lock!();
}
