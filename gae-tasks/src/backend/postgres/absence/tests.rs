//! What looks show of processes that are gone, and of those that live.

use proptest::prelude::*;

use super::*;
use crate::backend::{LeaseRef, LeaseToken};
use crate::task::TaskId;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_secs(30);

/// When the server was started; each look is at least an hour later.
const START: Timestamp = Timestamp::from_micros(7);

/// The process of a [`look`].
const PROCESS: i64 = 7;

fn held(task: u8, expires: i64, duration: Duration) -> HeldLease {
    let lease = LeaseRef::new(TaskId::from_bytes([task; 16]), LeaseToken::from_bits(1));
    HeldLease::new(lease, Timestamp::from_micros(expires), duration)
}

/// A look that shows the lock of a process free.
fn look(at: Duration, leases: &[HeldLease]) -> Look {
    let free = BTreeMap::from([(PROCESS, leases.to_vec())]);
    Look { asked: at, answered: at, now: START.plus(HOUR).plus(at), since: START, free }
}

/// Looks each second, for which `shows` says what is shown at the time; returns when a lease
/// is lost.
fn lost_at(absences: &mut Absences, shows: impl Fn(Duration) -> Look) -> u32 {
    let mut seconds = 0..1_000;
    let is_lost = |second: &u32| !absences.look(shows(*second * SECOND), 100).is_empty();
    seconds.find(is_lost).expect("a process that stays away is found")
}

/// Like [`lost_at`], of one lease of 30 seconds in looks that `change` changes.
fn one_lost_at(change: impl Fn(Duration, &mut Look)) -> u32 {
    lost_at(&mut Absences::default(), |at| {
        let mut look = look(at, &[held(1, 7, LEASE)]);
        change(at, &mut look);
        look
    })
}

#[test]
fn a_process_whose_lock_stays_free_for_longer_than_it_needs_to_renew_is_gone() {
    for (lease, expected) in [(1, 15), (30, 15), (60, 30), (300, 150)] {
        let lease = held(1, 7, lease * SECOND);
        let lost = lost_at(&mut Absences::default(), |at| look(at, &[lease]));
        assert_eq!(lost, expected, "{lease:?}");
    }
}

#[test]
fn a_lock_that_is_held_in_between_begins_anew() {
    let lost = one_lost_at(|at, look| {
        if at == 14 * SECOND {
            look.free.clear();
        }
    });
    assert_eq!(lost, 15 + 15);
}

#[test]
fn a_change_of_any_lease_begins_anew() {
    let both = [held(1, 7, LEASE), held(2, 7, LEASE)];
    let renewed = [held(1, 7, LEASE), held(2, 8, LEASE)];
    let changes = [(&both[..], &renewed[..]), (&both[..1], &both[..]), (&both[..], &both[1..])];
    for (before, after) in changes {
        let shows = |at: Duration| look(at, if at < 14 * SECOND { before } else { after });
        assert_eq!(lost_at(&mut Absences::default(), shows), 14 + 15, "{after:?}");
    }
}

#[test]
fn a_renewal_that_takes_four_seconds_keeps_the_leases_whose_lock_is_free() {
    let mut absences = Absences::default();
    for second in 0..300_u32 {
        let renewed = second / 14 * 14;
        let lost = absences.look(look(second * SECOND, &[held(1, renewed.into(), LEASE)]), 100);
        assert_eq!(lost, [], "after {second} s");
    }
}

#[test]
fn what_one_process_does_does_not_matter_to_another() {
    let mut absences = Absences::default();
    for second in 0..=15_u32 {
        let mut look = look(second * SECOND, &[held(1, 7, LEASE)]);
        look.free.insert(8, vec![held(2, i64::from(second), LEASE)]);
        let lost = absences.look(look, 100);
        let expected = if second < 15 { vec![] } else { vec![held(1, 7, LEASE)] };
        assert_eq!(lost, expected, "after {second} s");
    }
}

#[test]
fn nothing_is_lost_for_one_lease_time_after_a_restart() {
    let restarted = START.plus(HOUR).plus(4 * SECOND);
    let lost = one_lost_at(|at, look| {
        if at >= 5 * SECOND {
            look.since = restarted;
        }
    });
    assert_eq!(lost, 5 + 30);
    // A fresh process has not seen the restart.
    assert_eq!(one_lost_at(|_, look| look.since = restarted), 4 + 30);
}

#[test]
fn nothing_is_lost_for_one_lease_time_after_another_server_answers() {
    let lost = one_lost_at(|at, look| {
        if at >= 5 * SECOND {
            look.since = START.plus(SECOND);
        }
    });
    assert_eq!(lost, 5 + 30);
}

#[test]
fn nothing_is_lost_for_one_lease_time_after_the_clock_of_the_database_jumps() {
    let ahead = one_lost_at(|at, look| {
        if at >= 5 * SECOND {
            look.now = look.now.plus(HOUR);
        }
    });
    let behind = one_lost_at(|at, look| {
        if at >= 5 * SECOND {
            look.now = look.now.minus(HOUR / 2);
        }
    });
    assert_eq!([ahead, behind], [5 + 30; 2]);
}

#[test]
fn the_slower_of_both_clocks_counts() {
    assert_eq!(one_lost_at(|at, look| look.now = look.now.plus(at)), 15, "its own is slower");
    let slow = one_lost_at(|at, look| look.now = look.now.minus(at / 2));
    assert_eq!(slow, 30, "that of the database is slower");
}

#[test]
fn the_time_of_an_answer_does_not_count() {
    let lost = one_lost_at(|at, look| {
        if at == Duration::ZERO {
            look.answered = SECOND / 2;
        }
    });
    assert_eq!(lost, 16);
}

#[test]
fn looks_that_are_far_apart_find_nothing() {
    let mut absences = Absences::default();
    for number in 0..100 {
        let look = look(number * 5 * SECOND, &[held(1, 7, LEASE)]);
        assert_eq!(absences.look(look, 100), [], "look {number}");
    }
}

#[test]
fn a_process_that_was_frozen_begins_anew() {
    let mut absences = Absences::default();
    let lease = held(1, 7, LEASE);
    for second in 0..=14 {
        assert_eq!(absences.look(look(second * SECOND, &[lease]), 100), []);
    }
    assert_eq!(lost_at(&mut absences, |at| look(60 * SECOND + at, &[lease])), 15);
}

#[test]
fn what_failed_begins_anew() {
    let mut absences = Absences::default();
    let lease = held(1, 7, LEASE);
    for second in 0..=14 {
        assert_eq!(absences.look(look(second * SECOND, &[lease]), 100), []);
    }
    absences.disturb(Duration::ZERO);
    assert_eq!(lost_at(&mut absences, |at| look(15 * SECOND + at, &[lease])), 15);
}

#[test]
fn leases_beyond_the_limit_are_lost_at_the_next_look_unless_others_stay() {
    let all = [1, 2, 3].map(|task| held(task, 7, LEASE));
    let gone_after = |rest: &[HeldLease]| {
        let mut absences = Absences::default();
        for second in 0..15 {
            assert_eq!(absences.look(look(second * SECOND, &all), 2), []);
        }
        assert_eq!(absences.look(look(15 * SECOND, &all), 2), all[..2]);
        absences.look(look(16 * SECOND, rest), 2)
    };
    assert_eq!(gone_after(&all[2..]), all[2..]);
    assert_eq!(gone_after(&all[1..]), [], "somebody holds the second task");
}

/// Times between looks in milliseconds, of which the long ones are freezes.
fn pauses() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 500_u64..4_000, 1 => 4_001_u64..100_000]
}

proptest! {
    /// Whoever freezes: a process that locks again within 3 seconds in which it is awake is not
    /// gone, though it renews nothing.
    #[test]
    fn no_process_is_gone_that_locks_again(
        steps in prop::collection::vec((pauses(), any::<bool>()), 1..80),
    ) {
        let (mut absences, mut at) = (Absences::default(), Duration::ZERO);
        let mut free_for: Option<Duration> = None;
        for (pause, loses) in steps {
            let pause = Duration::from_millis(pause);
            let awake = if pause > STEP { Duration::ZERO } else { pause };
            free_for = match free_for {
                Some(before) => Some(before + awake).filter(|free_for| *free_for < 3 * SECOND),
                None => loses.then_some(Duration::ZERO),
            };
            at += pause;
            let mut look = look(at, &[held(1, 7, LEASE)]);
            if free_for.is_none() {
                look.free.clear();
            }
            prop_assert_eq!(absences.look(look, 100), vec![]);
        }
    }

    /// Whoever freezes: a process that renews within a third of its leases, and as soon as it
    /// is awake again, is not gone, though it has no lock.
    #[test]
    fn no_process_is_gone_that_renews(
        between in prop::collection::vec(pauses(), 1..80),
        millis in 1_000_u64..600_000,
    ) {
        let duration = Duration::from_millis(millis);
        let (mut absences, mut at) = (Absences::default(), Duration::ZERO);
        let (mut renewed, mut expires) = (Duration::ZERO, 0);
        for pause in between {
            let lost = absences.look(look(at, &[held(1, expires, duration)]), 100);
            prop_assert_eq!(lost, vec![]);
            at += Duration::from_millis(pause);
            if at.saturating_sub(renewed) >= duration / 3 {
                (renewed, expires) = (at, expires + 1);
            }
        }
    }
}
