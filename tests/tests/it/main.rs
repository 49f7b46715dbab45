//! Programs that defer and work in this process: all tests that need no process of their own are in
//! one binary.

mod asserts;
mod backoff;
mod client;
mod consumers;
mod defer_many;
mod deploys;
mod described;
mod fuzz;
mod hardships;
mod left_out;
#[cfg(feature = "sqlite")]
mod limits;
mod logs;
mod macro_outcome;
mod marks;
mod methods;
mod options;
mod payloads;
mod priorities;
mod queues;
mod readable;
mod registry;
#[cfg(feature = "sqlite")]
mod resolve;
#[cfg(feature = "sqlite")]
mod runtime;
mod shapes;
mod turns;
mod unique;
mod worker;
mod zeros;

use gae_tasks::Registry;

/// Returns the tasks of one test module (its `module_path!()`), as if the module were a program of
/// its own.
fn tasks_of(module: &str) -> Registry {
    let (linked, module) = (Registry::linked(), module.replace("::", "."));
    let is_its =
        |kind: &&str| kind.strip_prefix(&*module).is_some_and(|rest| rest.starts_with(['.', '/']));
    let kinds: Vec<_> = linked.kinds().filter(is_its).collect();
    linked.of_kinds(kinds)
}
