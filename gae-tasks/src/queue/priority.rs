//! Priorities: how much earlier or later than its schedule time a task stands in the order of its
//! queue.

use std::time::Duration;

use crate::time::{Timestamp, micros};

/// The lowest priority of a task.
pub(crate) const LOWEST: i8 = -100;

/// The highest priority of a task.
pub(crate) const HIGHEST: i8 = 100;

/// The step of priorities of a queue that states none.
pub(super) const STEP: Duration = Duration::from_secs(30);

/// Returns how much earlier than at its schedule time a task of this priority stands in the order
/// of its queue, in microseconds. A negative number means later.
pub(crate) fn advance(priority: i8, step: Duration) -> i64 {
    micros(step).saturating_mul(i64::from(priority))
}

/// Returns the place in the order of a queue of a task that is due at `due`. It is wider than a
/// time, so that no place is rounded.
pub(crate) fn place(due: Timestamp, advance: i64) -> i128 {
    i128::from(due.as_micros()) - i128::from(advance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place_of(due: Timestamp, priority: i8, step: Duration) -> i128 {
        place(due, advance(priority, step))
    }

    proptest! {
        #[test]
        fn a_step_of_priority_is_worth_a_step_of_time(
            due in i64::MIN..=0, priority in LOWEST..HIGHEST, step in 1..i64::from(u32::MAX),
        ) {
            let time = Duration::from_micros(step.unsigned_abs());
            let sooner = place_of(Timestamp::from_micros(due + step), priority + 1, time);
            prop_assert_eq!(sooner, place_of(Timestamp::from_micros(due), priority, time));
        }

        #[test]
        fn the_higher_of_two_that_are_due_together_is_first(
            due in any::<i64>(), one in LOWEST..=HIGHEST, other in LOWEST..=HIGHEST,
            step in 1..u64::from(u32::MAX),
        ) {
            let of = |priority| {
                place_of(Timestamp::from_micros(due), priority, Duration::from_micros(step))
            };
            prop_assert_eq!(of(one).cmp(&of(other)), other.cmp(&one));
        }
    }

    #[test]
    fn no_place_is_beyond_the_range() {
        let [first, last] = [i64::MIN, i64::MAX].map(Timestamp::from_micros);
        for step in [STEP, Duration::MAX] {
            assert!(place_of(first, HIGHEST, step) < place_of(first, 0, step));
            assert!(place_of(last, LOWEST, step) > place_of(last, 0, step));
        }
        assert_eq!(place_of(last, 0, Duration::MAX), i128::from(i64::MAX));
    }
}
