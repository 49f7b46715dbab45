//! Random numbers: from the operating system, or fast ones seeded by the operating system.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use crate::process;

/// Returns 64 random bits from the operating system, for values that must be unpredictable.
///
/// # Panics
/// If the operating system has no random numbers, as early in its start.
pub(crate) fn bits() -> u64 {
    getrandom::u64().expect("the operating system has random numbers")
}

/// Returns 64 bits that differ from the result of any other call, at a tenth of the cost of
/// [`bits`]: for values that must be unique but may be predictable.
///
/// The bits are a keyed hash (SipHash) of a counter. The key is the thread's own, from the
/// operating system. `fork` duplicates key and counter, so the process id is hashed too: parent and
/// child continue with different numbers.
pub(crate) fn fast_bits() -> u64 {
    thread_local! {
        static SEEDED: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
    }
    SEEDED.with(|(key, count)| {
        count.set(count.get().wrapping_add(1));
        of(key, process::id(), count.get())
    })
}

fn of(key: &RandomState, process: u32, count: u64) -> u64 {
    key.hash_one((process, count))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn a_child_that_goes_on_where_its_parent_was_draws_other_numbers() {
        let key = RandomState::new();
        let drawn: HashSet<_> =
            (1..=3).flat_map(|process| (0..1_000).map(move |count| (process, count))).collect();
        let drawn: HashSet<_> =
            drawn.into_iter().map(|(process, count)| of(&key, process, count)).collect();
        assert_eq!(drawn.len(), 3_000);
    }

    #[test]
    fn threads_draw_other_numbers() {
        let draw = || (0..10_000).map(|_| fast_bits()).collect::<Vec<_>>();
        let drawn: HashSet<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(draw)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(drawn.len(), 40_000);
    }

    #[test]
    fn every_bit_is_as_often_set_as_not() {
        let mut set = [0_u32; 64];
        for _ in 0..4_000 {
            let bits = fast_bits();
            set.iter_mut().enumerate().for_each(|(bit, count)| *count += (bits >> bit & 1) as u32);
        }
        assert!(set.iter().all(|count| (1_700..2_300).contains(count)), "{set:?}");
    }
}
