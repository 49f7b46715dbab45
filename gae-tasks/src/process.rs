//! The id of this process, which a `fork` changes.

use std::cell::Cell;
use std::process;
use std::time::{Duration, Instant};

/// Less than a `fork` takes.
const FORK: Duration = Duration::from_micros(10);

/// Returns the id of this process.
///
/// To ask the operating system takes half a microsecond on some virtual machines, a part of what a
/// task costs to be deferred. So a thread uses an answer again, for less time than a `fork` takes:
/// in a child, the first call comes later than that.
pub(crate) fn id() -> u32 {
    thread_local! {
        static KNOWN: Cell<Option<(Instant, u32)>> = const { Cell::new(None) };
    }
    KNOWN.with(|known| {
        let (asked, id) = at(Instant::now(), known.get(), process::id);
        known.set(Some((asked, id)));
        id
    })
}

/// Returns the id, and when it was asked for.
fn at(now: Instant, known: Option<(Instant, u32)>, ask: fn() -> u32) -> (Instant, u32) {
    let is_recent = |(asked, _): &(Instant, u32)| {
        // The clock of a child may be another one, which is behind.
        now.checked_duration_since(*asked).is_some_and(|passed| passed < FORK)
    };
    known.filter(is_recent).unwrap_or_else(|| (now, ask()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_used_again_for_less_time_than_a_fork_takes() {
        let asked = Instant::now();
        let after = |time| at(asked + time, Some((asked, 1)), || 2);
        assert_eq!(after(FORK - Duration::from_nanos(1)), (asked, 1));
        assert_eq!(after(FORK), (asked + FORK, 2));
        assert_eq!(at(asked, None, || 2), (asked, 2));
        let before = asked.checked_sub(Duration::from_nanos(1)).expect("a later time");
        assert_eq!(at(before, Some((asked, 1)), || 2), (before, 2), "the clock was set back");
    }

    #[test]
    fn the_id_is_that_of_the_process() {
        assert_eq!((id(), id()), (process::id(), process::id()));
    }
}
