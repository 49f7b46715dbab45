//! Whether the tasks of both services that wait can run after an edit.
//!
//! After one that is meant:
//! `GAE_TASKS_LOCK=write cargo test -p gae-tasks-examples-push --test lock`
#![allow(dead_code)] // What only the services themselves use.

#[path = "../app_engine/service.rs"]
mod app_engine;
#[path = "../cloud_run/service.rs"]
mod cloud_run;

#[test]
fn tasks_that_wait_can_run() {
    gae_tasks::testing::assert_lock!();
}
