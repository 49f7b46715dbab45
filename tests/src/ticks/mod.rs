//! Processes that tick schedules, are killed, and have clocks that do not agree: the program, and
//! the test that starts it.

mod clock;
mod program;
mod race;
mod random;

pub use clock::FastClock;
pub use program::{run, stamp};
pub use race::race;
