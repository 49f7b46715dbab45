//! What becomes of a call, against the rules as they are written for users.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::backend::refusers::Refusers;

const OTHER: TaskId = TaskId::from_bytes([1; 16]);
const OWN: TaskId = TaskId::from_bytes([2; 16]);

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A task that was stored at 0 and waits like this.
fn waiting(wait: Wait) -> Facts {
    Facts { wait, ..Facts::new(Schedule::Now, None, at(0)) }
}

fn of(facts: Facts) -> Holder {
    Holder::Waiting { id: OTHER, facts, is_readable: true }
}

fn debounced(longest: u64) -> OnConflict {
    OnConflict {
        over_running: false,
        reschedules: Reschedule::Within(secs(longest)),
        ..OnConflict::KEEP
    }
}

fn after(holder: Holder, rules: OnConflict, pause: u64, now: i64) -> Claim {
    claim(holder, rules, Schedule::After(secs(pause)), at(now))
}

#[test]
fn a_debounced_task_waits_anew_with_each_call_and_not_for_ever() {
    let holder = of(waiting(Wait::Until(at(5))));
    let until = |claim| match claim {
        Claim::Reschedule(OTHER, Facts { wait: Wait::Until(until), .. }) => until,
        other => panic!("{other:?}"),
    };
    assert_eq!(until(after(holder, debounced(60), 5, 3)), at(8));
    assert_eq!(until(after(holder, debounced(60), 5, 58)), at(60));
    assert_eq!(until(after(holder, debounced(60), 5, 70)), at(70), "not in the past");
}

#[test]
fn what_was_chosen_by_hand_or_after_a_failure_is_not_rescheduled() {
    let pause = Wait::Pause { until: at(100), since: at(1) };
    let kept = Claim::Leave(OTHER, Conflict::Kept);
    assert_eq!(after(of(waiting(pause)), debounced(60), 5, 3), kept);
    let longer = after(of(waiting(pause)), debounced(600), 200, 3);
    assert!(matches!(longer, Claim::Reschedule(..)), "{longer:?}");
    let forced = Facts { forced: true, ..waiting(Wait::Worker(at(0))) };
    assert_eq!(after(of(forced), debounced(60), 5, 3), kept);
}

#[test]
fn a_replacement_waits_as_long_as_the_task_before() {
    let rules = OnConflict { replaces_args: true, ..OnConflict::KEEP };
    let replaced = |wait| after(of(waiting(wait)), rules, 5, 3);
    let expected = |wait| Claim::Replace { of: OTHER, wait, created: at(0) };
    for wait in [Wait::Worker(at(1)), Wait::Until(at(9))] {
        assert_eq!(replaced(wait), expected(wait));
    }
    let pause = Wait::Pause { until: at(7), since: at(1) };
    assert_eq!(replaced(pause), expected(Wait::Until(at(7))));
    let both = OnConflict { reschedules: Reschedule::ToCall, ..rules };
    assert_eq!(after(of(waiting(pause)), both, 5, 3), expected(Wait::Until(at(8))));
}

fn holders() -> impl Strategy<Value = Holder> {
    let waits = prop_oneof![
        (0..20_i64).prop_map(|due| Wait::Worker(at(due))),
        (0..20_i64).prop_map(|due| Wait::Until(at(due))),
        (0..20_i64, 0..20_i64)
            .prop_map(|(until, since)| Wait::Pause { until: at(until), since: at(since) }),
    ];
    let facts = (waits, 0..20_i64, any::<bool>(), 0..3_u32).prop_map(
        |(wait, created, forced, attempts)| Facts {
            created: at(created),
            forced,
            attempts,
            refusers: Refusers::NONE,
            ..waiting(wait)
        },
    );
    prop_oneof![
        Just(Holder::Nobody),
        (facts, any::<bool>()).prop_map(|(facts, is_readable)| Holder::Waiting {
            id: OTHER,
            facts,
            is_readable
        }),
        Just(Holder::Running { id: OTHER }),
        Just(Holder::Dead { id: OTHER }),
        (0..20_i64).prop_map(|until| Holder::Finished { id: OTHER, until: at(until) }),
    ]
}

fn rules() -> impl Strategy<Value = OnConflict> {
    let reschedules = prop_oneof![
        Just(Reschedule::No),
        Just(Reschedule::ToCall),
        (0..20_u64).prop_map(|longest| Reschedule::Within(secs(longest))),
    ];
    (any::<[bool; 4]>(), reschedules).prop_map(|(flags, reschedules)| {
        let [over_running, over_dead, over_finished, replaces_args] = flags;
        OnConflict { over_running, over_dead, over_finished, replaces_args, reschedules }
    })
}

/// Whether the holder blocks the key, as the documentation of [`OnConflict`] says.
fn blocks(holder: Holder, rules: OnConflict, now: Timestamp) -> bool {
    match holder {
        Holder::Nobody => false,
        Holder::Waiting { .. } => true,
        Holder::Running { .. } => rules.over_running,
        Holder::Dead { .. } => rules.over_dead,
        Holder::Finished { until, .. } => rules.over_finished && now < until,
    }
}

proptest! {
    #[test]
    fn a_call_does_what_its_rules_say(
        holder in holders(),
        rules in rules(),
        schedule in prop_oneof![
            Just(Schedule::Now),
            (0..20_u64).prop_map(|delay| Schedule::After(secs(delay))),
            (0..20_i64).prop_map(|time| Schedule::At(at(time))),
        ],
        now in (0..20_i64).prop_map(at),
    ) {
        let claim = claim(holder, rules, schedule, now);
        let answer = claim.answer(OWN);
        prop_assert_eq!(answer.id, if answer.created { OWN } else { OTHER });
        let may_change = matches!(holder, Holder::Waiting { is_readable: true, .. });
        match claim {
            Claim::Store { behind } => {
                prop_assert!(!blocks(holder, rules, now));
                prop_assert_eq!(behind, matches!(holder, Holder::Running { .. }));
            }
            Claim::Leave(_, conflict) => {
                prop_assert!(blocks(holder, rules, now));
                let wants = rules.replaces_args || rules.reschedules != Reschedule::No;
                let runs = matches!(holder, Holder::Running { .. });
                prop_assert_eq!(conflict == Conflict::Running, wants && runs);
                prop_assert!(!(rules.replaces_args && may_change));
            }
            Claim::Replace { .. } => prop_assert!(rules.replaces_args && may_change),
            Claim::Reschedule(_, facts) => {
                prop_assert!(!rules.replaces_args && may_change);
                let Holder::Waiting { facts: before, .. } = holder else { unreachable!() };
                prop_assert_eq!(Facts { wait: before.wait, ..facts }, before);
                if let Wait::Pause { until, .. } = before.wait {
                    prop_assert!(facts.wait.due() >= until);
                }
                if let Reschedule::Within(longest) = rules.reschedules {
                    let latest = before.created.plus(longest).max(now);
                    let is_late = facts.wait.is_timed() && facts.wait.due() > latest;
                    prop_assert!(!is_late);
                }
            }
        }
    }
}
