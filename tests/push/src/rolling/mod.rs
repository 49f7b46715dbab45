//! What two versions of a program share: `rolling_old` and `rolling_new`, which run beside each
//! other on one queue and are killed by the tests.
//!
//! Both have tasks of the same kinds, with other parameters. Two tasks of one kind in one program
//! would be distinguished by the linker's order only, so they are two programs.

mod ledger;
mod program;
mod random;
mod report;

pub use ledger::{Ledger, Line, Version, read};
pub use program::{Order, Program, QUEUE, SECRET};
pub use random::Random;
pub use report::{Report, Reported};
