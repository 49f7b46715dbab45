//! Property tests of the lifecycle, for any facts and any time.

use proptest::prelude::*;

use super::*;
use crate::backend::ReaderId;

const SECOND: Duration = Duration::from_secs(1);

/// Times that are far from both ends of the range.
fn moment() -> impl Strategy<Value = Timestamp> {
    (1_000_000_000_000_000_i64..2_000_000_000_000_000).prop_map(Timestamp::from_micros)
}

fn duration() -> impl Strategy<Value = Duration> {
    (0..10_000_000_000_u64).prop_map(Duration::from_micros)
}

fn wait() -> impl Strategy<Value = Wait> {
    (any::<bool>(), prop::option::of(moment()), moment())
        .prop_map(|(timed, since, due)| Wait::of(timed, since, due))
}

prop_compose! {
    fn facts()(
        created in moment(),
        wait in wait(),
        attempts in 0..20_u32,
        began in moment(),
        lost_leases in 0..20_u32,
        lost_attempts in 0..10_u32,
        max_attempts in prop::option::of(1..20_u32),
        refusals in 0..20_u32,
        refusers in prop::collection::vec(any::<u64>(), 0..12),
        forced in any::<bool>(),
    ) -> Facts {
        let refusers =
            refusers.into_iter().map(ReaderId::from_bits).fold(Refusers::NONE, Refusers::with);
        let first_attempt = (attempts > 0).then_some(began);
        Facts {
            created,
            wait,
            attempts,
            first_attempt,
            lost_leases,
            lost_attempts,
            refusals,
            refusers,
            forced,
            max_attempts,
            died: None,
        }
    }
}

prop_compose! {
    fn rules()(
        max_attempts in prop::option::of(1..20_u32),
        max_retry_duration in prop::option::of(duration()),
        min_backoff in duration(),
        more in duration(),
        max_lost_attempts in 1..10_u32,
        (is_default, is_own_backoff) in any::<(bool, bool)>(),
        jitter_of in prop::option::of(any::<[u8; 16]>()),
    ) -> Rules {
        let default = RetryConfig::new()
            .with_max_attempts(max_attempts)
            .with_max_retry_duration(max_retry_duration);
        let given =
            default.clone().with_min_backoff(min_backoff).with_max_backoff(min_backoff + more);
        let retry = if is_default { default } else { given };
        let jitter_of = jitter_of.map(TaskId::from_bytes);
        Rules { retry, is_own_backoff, jitter_of, max_lost_attempts, ends: None }
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let error = || "it failed".to_owned();
    let retry = move |(after, max_attempts)| Verdict::Retry { error: error(), after, max_attempts };
    prop_oneof![
        Just(Verdict::Done),
        Just(Verdict::Release),
        Just(Verdict::Permanent { error: error() }),
        Just(Verdict::Undeliverable { error: error() }),
        any::<u64>().prop_map(move |bits| Verdict::Unreadable {
            error: error(),
            reader: ReaderId::from_bits(bits)
        }),
        (prop::option::of(duration()), prop::option::of(1..20_u32)).prop_map(retry),
    ]
}

const fn ended(verdict: &Verdict) -> Ended<'_> {
    Ended::of(verdict)
}

const fn uncancelled(alone: bool) -> Loss {
    Loss { alone, cancelled: false }
}

/// Returns the facts of a change that keeps the task.
fn changed(change: &Change<'_>) -> Facts {
    match change {
        Change::To { facts, .. } => *facts,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_done_is_over_and_what_is_released_goes_back(
        facts in facts(),
        rules in rules(),
        now in moment(),
    ) {
        prop_assert_eq!(settle(facts, ended(&Verdict::Done), Some(&rules), now), Change::Over);
        prop_assert_eq!(settle(facts, ended(&Verdict::Release), Some(&rules), now), Change::Back);
    }

    #[test]
    fn an_answer_counts_as_an_attempt_and_what_never_began_does_not(
        facts in facts(), rules in rules(), verdict in verdict(), now in moment(),
    ) {
        let change = settle(facts, ended(&verdict), Some(&rules), now);
        if let Change::To { facts: after, error } = change {
            let made = u32::from(verdict.is_of_an_attempt());
            prop_assert_eq!(after.attempts, facts.attempts + made);
            prop_assert_eq!(after.first_attempt, facts.first_attempt.or((made > 0).then_some(now)));
            prop_assert_eq!(error.as_deref(), Some("it failed"));
        }
    }

    #[test]
    fn what_a_task_was_deferred_with_never_changes(
        facts in facts(),
        rules in rules(),
        verdict in verdict(),
        alone in any::<bool>(),
        now in moment(),
    ) {
        let dead = Facts { died: Some(now), ..facts };
        let settled = match settle(facts, ended(&verdict), Some(&rules), now) {
            Change::To { facts, .. } => facts,
            _ => facts,
        };
        let lost = changed(&lose(facts, uncancelled(alone), Some(&rules), now));
        for after in [
            settled,
            lost,
            run_now(facts, false, now).unwrap(),
            replay(dead, now).unwrap(),
            bury(facts, 3, None, now),
        ] {
            prop_assert_eq!(
                (after.created, after.max_attempts),
                (facts.created, facts.max_attempts)
            );
        }
    }

    #[test]
    fn a_permanent_failure_makes_a_dead_letter(
        facts in facts(),
        rules in prop::option::of(rules()),
        now in moment(),
    ) {
        let verdict = Verdict::Permanent { error: String::new() };
        prop_assert_eq!(
            changed(&settle(facts, ended(&verdict), rules.as_ref(), now)).died,
            Some(now)
        );
    }

    #[test]
    fn a_task_that_cannot_be_delivered_is_a_dead_letter_without_an_attempt(
        facts in facts(), rules in prop::option::of(rules()), now in moment(),
    ) {
        let verdict = Verdict::Undeliverable { error: String::new() };
        let dead = changed(&settle(facts, ended(&verdict), rules.as_ref(), now));
        prop_assert_eq!((dead.died, dead.refusals), (Some(now), 0));
        prop_assert_eq!((dead.attempts, dead.first_attempt), (facts.attempts, facts.first_attempt));
    }

    #[test]
    fn a_failed_task_dies_exactly_where_its_limits_are_reached(
        facts in facts(),
        rules in rules(),
        after in prop::option::of(duration()),
        cap in prop::option::of(1..20_u32),
        now in moment(),
    ) {
        let verdict = Verdict::Retry { error: String::new(), after, max_attempts: cap };
        let failed = changed(&settle(facts, ended(&verdict), Some(&rules), now));
        let age = now.since(failed.first_attempt.unwrap());
        let by_cap =
            [facts.max_attempts, cap].into_iter().flatten().any(|cap| failed.attempts >= cap);
        let by_count = rules.retry.max_attempts().map(|most| failed.attempts >= most);
        let by_age = rules.retry.max_retry_duration().map(|most| age >= most);
        let limits: Vec<_> = [by_count, by_age].into_iter().flatten().collect();
        let dies = by_cap || (!limits.is_empty() && limits.into_iter().all(|reached| reached));
        prop_assert_eq!(failed.died, dies.then_some(now));
        if !dies {
            let pause = after.unwrap_or_else(|| rules.pause(failed.attempts, TypeBackoff::NONE));
            prop_assert_eq!(failed.wait, Wait::Pause { until: now.plus(pause), since: now });
            prop_assert!(after.is_some() || pause <= rules.retry.max_backoff().mul_f64(1.1));
        }
    }

    #[test]
    fn a_default_pause_grows_by_a_tenth_at_most_and_any_other_is_exact(
        rules in rules(),
        attempt in 1..40_u32,
    ) {
        let exact = rules.retry.backoff(attempt);
        let pause = rules.pause(attempt, TypeBackoff::NONE);
        prop_assert!((exact..=exact + exact / 10).contains(&pause), "{:?} of {:?}", pause, exact);
        if rules.jitter_of.is_none() || rules.retry.has_own_backoff() {
            prop_assert_eq!(pause, exact);
        }
        prop_assert_eq!(pause, rules.pause(attempt, TypeBackoff::NONE));
    }

    #[test]
    fn what_a_type_states_of_its_backoff_is_exact_and_gives_way_to_what_the_call_states(
        rules in rules(), min in duration(), more in duration(), attempt in 1..40_u32,
    ) {
        let of_type = TypeBackoff { min: Some(min), max: Some(min + more) };
        let stated = rules.retry.clone().with_type_backoff(of_type).backoff(attempt);
        let expected =
            if rules.is_own_backoff { rules.pause(attempt, TypeBackoff::NONE) } else { stated };
        prop_assert_eq!(rules.pause(attempt, of_type), expected);
    }

    #[test]
    fn a_settlement_takes_the_backoff_of_the_type(
        facts in facts(),
        rules in rules(),
        now in moment(),
    ) {
        let of_type = TypeBackoff { min: Some(SECOND * 7), max: None };
        let verdict = Verdict::Retry { error: String::new(), after: None, max_attempts: None };
        let failed = changed(&settle(
            facts,
            Ended { backoff: of_type, ..ended(&verdict) },
            Some(&rules),
            now,
        ));
        if failed.died.is_none() {
            prop_assert_eq!(failed.wait.due(), now.plus(rules.pause(failed.attempts, of_type)));
        }
    }

    #[test]
    fn a_task_that_answers_is_clear_again(facts in facts(), rules in rules(), now in moment()) {
        let verdict = Verdict::Retry { error: String::new(), after: None, max_attempts: None };
        let answered = changed(&settle(facts, ended(&verdict), Some(&rules), now));
        prop_assert_eq!(
            (answered.lost_leases, answered.lost_attempts, answered.standing()),
            (0, 0, Standing::Clear)
        );
    }

    #[test]
    fn a_task_that_cannot_be_read_waits_for_a_minute_to_an_hour_and_is_not_charged(
        facts in facts(),
        rules in prop::option::of(rules()),
        now in moment(),
        reader in any::<u64>(),
    ) {
        let reader = ReaderId::from_bits(reader);
        let verdict = Verdict::Unreadable { error: String::new(), reader };
        let after = changed(&settle(facts, ended(&verdict), rules.as_ref(), now));
        let Wait::Pause { until, since } = after.wait else { panic!("{after:?}") };
        prop_assert_eq!(since, now);
        prop_assert!((SECOND * 60..=SECOND * 3600).contains(&until.since(now)));
        prop_assert_eq!(until.since(now), refusal_pause(facts.refusals + 1));
        prop_assert_eq!(
            (after.refusals, after.refusers),
            (facts.refusals + 1, facts.refusers.with(reader))
        );
        prop_assert!(after.refusers.pauses(reader));
        let (refusals, refusers) = (facts.refusals, facts.refusers);
        prop_assert_eq!(Facts { wait: facts.wait, refusals, refusers, ..after }, facts);
    }

    #[test]
    fn pauses_of_readers_double_from_a_minute_to_an_hour(refusals in 1..200_u32) {
        let (pause, next) = (refusal_pause(refusals), refusal_pause(refusals.saturating_add(1)));
        prop_assert_eq!(next, (pause * 2).min(SECOND * 3600));
        prop_assert_eq!(refusal_pause(1), SECOND * 60);
    }

    #[test]
    fn any_other_end_of_an_attempt_forgets_refusals_and_no_attempt_does(
        facts in facts(),
        rules in prop::option::of(rules()),
        verdict in verdict(),
        alone in any::<bool>(),
        now in moment(),
    ) {
        if let Change::To { facts: after, .. } = settle(facts, ended(&verdict), rules.as_ref(), now)
            && verdict.is_of_an_attempt()
        {
            prop_assert_eq!((after.refusals, after.refusers), (0, Refusers::NONE));
        }
        let lost = changed(&lose(facts, uncancelled(alone), rules.as_ref(), now));
        prop_assert_eq!((lost.refusals, lost.refusers), (facts.refusals, facts.refusers));
        let replayed = replay(Facts { died: Some(now), ..facts }, now).unwrap();
        prop_assert_eq!((replayed.refusals, replayed.refusers), (0, Refusers::NONE));
    }

    #[test]
    fn a_loss_counts_as_an_attempt_only_for_who_ran_alone(
        facts in facts(), rules in rules(), alone in any::<bool>(), now in moment(),
    ) {
        let change = lose(facts, uncancelled(alone), Some(&rules), now);
        let lost = changed(&change);
        let made = u32::from(alone);
        prop_assert_eq!(lost.lost_leases, facts.lost_leases + 1);
        prop_assert_eq!(
            (lost.attempts, lost.lost_attempts),
            (facts.attempts + made, facts.lost_attempts + made)
        );
        prop_assert_eq!(matches!(change, Change::To { error: Some(_), .. }), alone);
        prop_assert_eq!(lost.wait, facts.wait, "the task keeps its place");
        let dies = alone
            && (lost.is_exhausted(&rules, None, now)
                || lost.lost_attempts >= rules.max_lost_attempts);
        prop_assert_eq!(lost.died, dies.then_some(now));
    }

    #[test]
    fn nobody_dies_by_rules_that_cannot_be_read(
        facts in facts(),
        alone in any::<bool>(),
        now in moment(),
    ) {
        let verdict = Verdict::Retry { error: String::new(), after: None, max_attempts: Some(1) };
        prop_assert_eq!(changed(&lose(facts, uncancelled(alone), None, now)).died, None);
        let failed = changed(&settle(facts, ended(&verdict), None, now));
        prop_assert_eq!((failed.died, failed.wait), (None, Wait::Worker(facts.wait.due())));
    }

    #[test]
    fn whatever_happens_no_task_is_tried_more_often_than_its_cap_says(
        cap in 1..6_u32,
        events in prop::collection::vec((verdict(), any::<bool>(), any::<bool>()), 1..40),
        rules in rules(),
        now in moment(),
    ) {
        let (mut facts, mut now) = (Facts::new(Schedule::Now, Some(cap), now), now);
        for (verdict, is_lost, alone) in events {
            prop_assert!(facts.attempts < cap, "the task is never leased beyond its cap");
            let change = if is_lost {
                lose(facts, uncancelled(alone), Some(&rules), now)
            } else {
                settle(facts, ended(&verdict), Some(&rules), now)
            };
            match change {
                Change::Over => break,
                Change::Back => {}
                Change::To { facts: after, .. } if after.died.is_some() => break,
                Change::To { facts: after, .. } => facts = after,
            }
            now = now.max(facts.wait.due());
        }
    }

    #[test]
    fn a_task_that_is_to_run_now_is_due_and_keeps_an_earlier_place(
        facts in facts(),
        now in moment(),
    ) {
        let after = run_now(facts, false, now).unwrap();
        prop_assert!(after.wait.is_over(now) && !after.wait.is_timed());
        prop_assert_eq!(after.wait.due(), facts.wait.due().min(now));
        prop_assert_eq!((after.refusals, after.refusers), (0, Refusers::NONE), "no reader pauses");
        prop_assert!(after.forced, "whether its queue is paused or not");
        let Facts { wait, refusals, refusers, forced, .. } = facts;
        prop_assert_eq!(Facts { wait, refusals, refusers, forced, ..after }, facts);
        prop_assert_eq!(run_now(facts, true, now), Err(error_text::RUNNING));
        for is_leased in [false, true] {
            prop_assert_eq!(
                run_now(Facts { died: Some(now), ..facts }, is_leased, now),
                Err(error_text::DEAD)
            );
        }
    }

    #[test]
    fn what_was_made_due_by_hand_stays_so_until_an_attempt_is_answered(
        facts in facts(),
        rules in prop::option::of(rules()),
        verdict in verdict(),
        alone in any::<bool>(),
        now in moment(),
    ) {
        let forced = run_now(facts, false, now).unwrap();
        let is_unanswered = matches!(verdict, Verdict::Release | Verdict::Unreadable { .. });
        match settle(forced, ended(&verdict), rules.as_ref(), now) {
            Change::To { facts: after, .. } => prop_assert_eq!(after.forced, is_unanswered),
            change => prop_assert!(change == Change::Over || is_unanswered, "{:?}", change),
        }
        prop_assert!(changed(&lose(forced, uncancelled(alone), rules.as_ref(), now)).forced);
        let dead = Facts { died: Some(now), ..forced };
        prop_assert!(!replay(dead, now).unwrap().forced);
    }

    #[test]
    fn a_cancelled_task_is_done_or_a_dead_letter_and_made_as_many_attempts_as_ever(
        facts in facts(),
        rules in prop::option::of(rules()),
        verdict in verdict(),
        now in moment(),
    ) {
        let ordinary = settle(facts, ended(&verdict), rules.as_ref(), now);
        let cancelled = Ended { cancelled: true, ..ended(&verdict) };
        match settle(facts, cancelled, rules.as_ref(), now) {
            Change::Over => prop_assert_eq!(&verdict, &Verdict::Done),
            Change::Back => prop_assert!(false, "it would be attempted again"),
            Change::To { facts: after, error } => {
                let before = if ordinary == Change::Back { facts } else { changed(&ordinary) };
                prop_assert_eq!(after, Facts { died: Some(now), ..before });
                let error = error.unwrap();
                prop_assert!(error.starts_with("the task was cancelled"), "{}", error);
                let said = verdict.error().unwrap_or_default();
                prop_assert!(error.ends_with(said), "{}", error);
            }
        }
    }

    #[test]
    fn a_cancelled_task_whose_worker_is_gone_is_a_dead_letter(
        facts in facts(),
        rules in prop::option::of(rules()),
        alone in any::<bool>(),
        now in moment(),
    ) {
        let lost = changed(&lose(facts, uncancelled(alone), rules.as_ref(), now));
        let change = lose(facts, Loss { alone, cancelled: true }, rules.as_ref(), now);
        prop_assert_eq!(changed(&change), Facts { died: Some(now), ..lost });
        let Change::To { error: Some(error), .. } = change else { panic!("{change:?}") };
        prop_assert!(error.starts_with("the task was cancelled"), "{}", error);
        // Its lane stays the same: the lease of a lost task ends in the same transaction.
        prop_assert_eq!((lost.refusers, lost.forced), (facts.refusers, facts.forced));
    }

    #[test]
    fn a_cancelled_dead_letter_that_is_replayed_has_a_new_life(
        facts in facts(), verdict in verdict(), now in moment(), later in moment(),
    ) {
        let cancelled = Ended { cancelled: true, ..ended(&verdict) };
        if let Change::To { facts: dead, .. } = settle(facts, cancelled, None, now) {
            let new = replay(dead, later).unwrap();
            prop_assert_eq!(settle(new, ended(&Verdict::Release), None, later), Change::Back);
        }
    }

    #[test]
    fn a_replayed_task_begins_anew(facts in facts(), now in moment(), later in moment()) {
        prop_assert_eq!(replay(facts, now), Err(error_text::NOT_DEAD));
        let new = Facts {
            created: facts.created,
            ..Facts::new(Schedule::Now, facts.max_attempts, later)
        };
        prop_assert_eq!(replay(Facts { died: Some(now), ..facts }, later), Ok(new));
        prop_assert!(new.wait.is_over(Timestamp::from_micros(0)), "whatever the clock says");
    }

    #[test]
    fn a_buried_task_is_dead_and_tells_its_attempts(
        facts in facts(),
        made in any::<u32>(),
        now in moment(),
    ) {
        let dead = bury(facts, made, Some(now), now);
        prop_assert_eq!(
            (dead.died, dead.attempts, dead.first_attempt),
            (Some(now), made, Some(now))
        );
    }

    #[test]
    fn a_task_without_a_time_waits_for_no_clock(
        now in moment(),
        clock in any::<i64>(),
        delay in duration(),
    ) {
        let clock = Timestamp::from_micros(clock);
        prop_assert!(Wait::scheduled(Schedule::Now, now).is_over(clock));
        for schedule in
            [Schedule::At(now.plus(delay)), Schedule::After(delay + Duration::from_micros(1))]
        {
            let wait = Wait::scheduled(schedule, now);
            prop_assert_eq!(wait.is_over(clock), clock >= wait.due());
        }
    }

    #[test]
    fn a_pause_that_begins_in_the_future_begins_anew_and_no_other_wait_changes(
        wait in wait(),
        now in moment(),
    ) {
        match (wait, wait.shortened(now)) {
            (Wait::Pause { until, since }, Some(shortened)) => {
                prop_assert!(since > now);
                prop_assert_eq!(shortened.since(), Some(now));
                prop_assert_eq!(shortened.due().since(now), until.since(since));
                prop_assert_eq!(shortened.shortened(now), None);
            }
            (Wait::Pause { since, .. }, None) => prop_assert!(since <= now),
            (_, shortened) => prop_assert_eq!(shortened, None),
        }
    }

    #[test]
    fn a_wait_is_made_of_its_parts(wait in wait()) {
        prop_assert_eq!(Wait::of(wait.is_timed(), wait.since(), wait.due()), wait);
    }

    #[test]
    fn a_dead_letter_is_kept_for_exactly_as_long_as_its_queue_says(
        died in moment(),
        keep in duration(),
    ) {
        let queue = QueueConfig::new().with_dead_letter_retention(keep);
        prop_assert!(is_forgotten(died, &queue, died.plus(keep)));
        prop_assert!(!is_forgotten(died, &queue, died.plus(keep).minus(Duration::from_micros(1))));
        prop_assert_eq!(forgotten_before(&queue, died.plus(keep)), died);
    }

    #[test]
    fn a_task_whose_storage_forgets_it_is_not_tried_again(
        facts in facts(),
        rules in rules(),
        now in moment(),
    ) {
        let unlimited = RetryConfig::new().with_max_attempts(None);
        let facts = Facts { max_attempts: None, ..facts };
        let rules = Rules { retry: unlimited, ends: Some(now), ..rules };
        prop_assert!(facts.is_exhausted(&rules, None, now));
        prop_assert!(!facts.is_exhausted(&rules, None, now.minus(Duration::from_micros(1))));
    }
}

#[test]
fn retry_settings_of_a_call_without_a_backoff_leave_that_to_the_type() {
    let queue = QueueConfig::new();
    let limits = RetryConfig::new().with_max_attempts(Some(3));
    assert!(
        !Rules::of(&queue, None).is_own_backoff
            && !Rules::of(&queue, Some(limits.clone())).is_own_backoff
    );
    assert!(Rules::of(&queue, Some(limits.with_max_doublings(3))).is_own_backoff);
}

#[test]
fn a_name_belongs_to_a_stored_task_and_then_for_a_while_to_its_tombstone() {
    let [holder, other] = [1, 2].map(|byte| TaskId::from_bytes([byte; 16]));
    let (now, later) = (Timestamp::from_micros(5), Timestamp::from_micros(6));
    let over = |until| Some(Holder::Tombstone { of: holder, until });
    assert_eq!(refuse_name(None, other, now), None);
    assert_eq!(
        refuse_name(Some(Holder::Task(holder)), other, now),
        Some(Deferred::new(holder, false))
    );
    assert_eq!(refuse_name(over(later), other, now), Some(Deferred::new(holder, false)));
    assert_eq!(
        refuse_name(over(later), holder, now),
        Some(Deferred::new(holder, true)),
        "the same task again"
    );
    assert_eq!(refuse_name(over(now), other, now), None);
    let queue = QueueConfig::new().with_tombstone_retention(SECOND);
    assert_eq!(
        (tombstone(Some(&queue), now), tombstone(None, now)),
        (now.plus(SECOND), now.plus(LONGEST_TOMBSTONE))
    );
}

#[test]
fn a_state_follows_from_facts() {
    let facts = Facts::new(Schedule::Now, None, Timestamp::from_micros(0));
    let dead = Facts { died: Some(facts.created), ..facts };
    assert_eq!((facts.state(false), facts.state(true)), (TaskState::Scheduled, TaskState::Leased));
    assert_eq!((dead.state(false), dead.state(true)), (TaskState::Dead, TaskState::Dead));
}
