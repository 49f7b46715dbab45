//! Several processes on one queue: tasks run in fresh processes, and tasks of killed processes are
//! retried.

mod instances;
mod kill;
mod schedules;
