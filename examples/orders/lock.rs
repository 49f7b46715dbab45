//! Whether the mails that wait can be sent after an edit.
//!
//! After one that is meant: `GAE_TASKS_LOCK=write cargo test -p gae-tasks-examples --test orders`
#![allow(dead_code)] // What only the example itself uses.

mod book;
mod mail;

#[test]
fn tasks_that_wait_can_run() {
    gae_tasks::testing::assert_lock!();
}
