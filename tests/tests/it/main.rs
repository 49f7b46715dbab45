//! Programs that defer and work, in this process: whatever needs no process of its own is one test binary.

mod asserts;
mod backoff;
mod client;
mod consumers;
mod defer_many;
mod fuzz;
mod hardships;
mod logs;
mod macro_outcome;
mod options;
mod payloads;
mod registry;
#[cfg(feature = "sqlite")]
mod runtime;
mod turns;
mod worker;
mod zeros;

use gae_tasks::Registry;

/// The tasks of one module of these tests (its `module_path!()`), as if it were a program of its own.
fn tasks_of(module: &str) -> Registry {
    let (linked, module) = (Registry::linked(), module.replace("::", "."));
    let is_its =
        |kind: &&str| kind.strip_prefix(&*module).is_some_and(|rest| rest.starts_with(['.', '/']));
    let kinds: Vec<_> = linked.kinds().filter(is_its).collect();
    linked.of_kinds(kinds)
}
