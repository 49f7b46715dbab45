//! Code shared by the chaos processes and the tests that start, stop and kill them.

mod clock;
mod log;
mod orders;
mod program;
mod tasks;

pub use clock::FileClock;
pub use log::{Attempt, LOG, Line, Sign, append, read};
pub use orders::{Order, Then};
pub use program::run;
pub use tasks::{block, carry, fail_for_good, hold, obey};
