//! Limits of pushed tasks: each rule alone, and any mix of refusals and failures.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::envelope::Copied;
use crate::push::response::Reply;
use crate::queue::{QueueName, RetryConfig};
use crate::task::{Kind, Shape, TaskSpec};

const MINUTE: Duration = Duration::from_secs(60);
const START: Timestamp = Timestamp::from_micros(0);

fn limits(retry: &RetryConfig, retries: u32, now: Timestamp) -> Limits {
    let envelope = with(|spec| spec.retry = Some(retry.clone()));
    ending(Limits::of(&envelope, None, &reported(retries, None), now), None)
}

fn ending(limits: Limits, ends: Option<Timestamp>) -> Limits {
    Limits { rules: Rules { ends, ..limits.rules }, ..limits }
}

impl Limits {
    /// Whether a task whose attempt number `made` fails is not to be retried.
    fn are_reached_by(&self, made: u32, now: Timestamp) -> bool {
        let verdict = Verdict::Retry { error: String::new(), after: None, max_attempts: self.cap };
        let limits = Limits {
            facts: Facts { attempts: made - 1, ..self.facts },
            rules: self.rules.clone(),
            cap: None,
            before: 0,
        };
        matches!(limits.settle(&verdict, now), Change::To { facts, .. } if facts.died.is_some())
    }
}

fn reported(retries: u32, previous: Option<u16>) -> Reported {
    Reported { retries, previous, ..Reported::default() }
}

fn envelope() -> Envelope {
    let (id, kind) = (TaskId::first_of(START.plus(MINUTE)), Kind::from_static("shop/send"));
    let spec = TaskSpec::new(id, kind, Shape::from_bits(7), QueueName::DEFAULT);
    Envelope {
        spec,
        named: false,
        first_due: START,
        copied: None,
        payload: Vec::new(),
        schema: Arc::default(),
        sensitive: Default::default(),
    }
}

/// An envelope with changed fields of its task.
fn with(change: impl FnOnce(&mut TaskSpec)) -> Envelope {
    let mut envelope = envelope();
    change(&mut envelope.spec);
    envelope
}

#[test]
fn the_queue_forgets_a_task_half_a_day_after_its_life() {
    assert_eq!(LIFE + 12 * 60 * MINUTE, Duration::from_secs(31 * 86_400));
}

#[test]
fn the_life_of_a_task_is_counted_from_its_id() {
    let envelope = with(|spec| spec.id = TaskId::generate());
    let made = envelope.spec.id.made().unwrap();
    let ends = made.plus(LIFE);
    assert!(
        is_nearly_over(envelope.spec.id, None, ends)
            && !is_nearly_over(envelope.spec.id, None, ends.minus(Duration::from_millis(1)))
    );
    let limits = Limits::of(&envelope, None, &reported(1, None), made);
    assert!(limits.are_reached_by(1, ends) && !limits.are_reached_by(1, ends.minus(MINUTE)));
}

#[test]
fn the_first_attempt_begins_when_it_is_made_and_later_ones_are_counted_from_when_it_was_due() {
    let retry =
        RetryConfig::new().with_max_attempts(None).with_max_retry_duration(Some(10 * MINUTE));
    let envelope = with(|spec| spec.retry = Some(retry));
    let late = START.plus(60 * MINUTE);
    assert!(!Limits::of(&envelope, None, &reported(0, None), late).are_reached_by(1, late));
    assert!(Limits::of(&envelope, None, &reported(1, None), late).are_reached_by(1, late));
}

#[test]
fn the_lowest_cap_holds_and_without_any_the_default_limits() {
    let reached = |own, of_type, made| {
        let envelope = with(|spec| spec.max_attempts = own);
        Limits::of(&envelope, of_type, &reported(1, None), START).are_reached_by(made, START)
    };
    assert!(
        reached(Some(2), Some(3), 2)
            && reached(Some(3), Some(2), 2)
            && !reached(Some(3), Some(3), 2)
    );
    assert!(reached(None, None, 100) && !reached(None, None, 99));
}

#[test]
fn the_outlook_of_a_copy_counts_the_attempts_before_it() {
    let copied = Copied { number: 1, attempts: 2, first_attempt: Some(START), ..Copied::default() };
    let envelope = Envelope { copied: Some(copied), ..with(|spec| spec.max_attempts = Some(4)) };
    let (reported, now) = (reported(0, None), START.plus(MINUTE));
    let limits = Limits::of(&envelope, None, &reported, now);
    let text = limits.outlook(&reported, Some(MINUTE), now).to_string();
    assert_eq!(text, "1 more is left, in 1 min");
    let text = limits.outlook(&reported, None, now).to_string();
    assert_eq!(text, "1 more is left, when the queue sends it again");
}

#[test]
fn a_cap_and_the_retry_settings_count_attempts() {
    let unlimited = RetryConfig::new().with_max_attempts(None);
    let counts = |retry, cap| Limits { cap, ..limits(retry, 1, START) }.count();
    assert!(
        !counts(&unlimited, None)
            && counts(&unlimited, Some(1))
            && counts(&RetryConfig::new(), None)
    );
}

#[test]
fn a_task_that_comes_for_the_first_time_is_run() {
    let expired = ending(limits(&RetryConfig::new(), 0, START), Some(START));
    assert!(!expired.are_reached_already(&reported(0, None), START.plus(MINUTE)));
    assert!(expired.are_reached_already(&reported(1, None), START.plus(MINUTE)));
}

#[test]
fn a_task_that_waited_long_for_its_first_attempt_is_retried_still() {
    let retry =
        RetryConfig::new().with_max_attempts(None).with_max_retry_duration(Some(10 * MINUTE));
    let late = START.plus(60 * MINUTE);
    assert!(!limits(&retry, 0, late).are_reached_by(1, late));
    assert!(limits(&retry, 1, late).are_reached_by(1, late));
}

#[test]
fn limits_of_the_retry_settings_stop_together_only() {
    let retry =
        RetryConfig::new().with_max_attempts(Some(2)).with_max_retry_duration(Some(10 * MINUTE));
    let (early, late) = (START.plus(MINUTE), START.plus(10 * MINUTE));
    assert!(!limits(&retry, 2, early).are_reached_by(3, early));
    assert!(!limits(&retry, 1, late).are_reached_by(1, late));
    assert!(limits(&retry, 1, late).are_reached_by(2, late));
}

#[test]
fn what_was_refused_is_no_attempt_that_could_have_killed() {
    let retry = RetryConfig::new().with_max_attempts(Some(2));
    let limits = limits(&retry, 1, START);
    for refused in [400, 403, 404, 408, 413, 503] {
        assert!(!limits.are_reached_already(&reported(2, Some(refused)), START), "{refused}");
    }
    for lost in [None, Some(0), Some(502), Some(504), Some(500)] {
        assert!(limits.are_reached_already(&reported(2, lost), START), "{lost:?}");
        assert!(!limits.are_reached_already(&reported(1, lost), START), "{lost:?}");
    }
    assert!(
        !limits.are_reached_already(&reported(1000, Some(503)), START),
        "no refusal buries a task"
    );
}

#[test]
fn a_task_that_failed_in_time_has_its_last_retry() {
    let retry =
        RetryConfig::new().with_max_attempts(None).with_max_retry_duration(Some(10 * MINUTE));
    let late = START.plus(11 * MINUTE);
    let limits = limits(&retry, 5, late);
    assert!(!limits.are_reached_already(&reported(5, Some(500)), late));
    assert!(limits.are_reached_already(&reported(5, Some(504)), late));
    assert!(limits.are_reached_by(6, late));
}

#[test]
fn nothing_is_left_for_the_queue_to_forget() {
    let ends = START.plus(LIFE);
    let unlimited = RetryConfig::new().with_max_attempts(None);
    let limits = ending(limits(&unlimited, 1, START), Some(ends));
    assert!(!limits.are_reached_by(1000, ends.minus(MINUTE)));
    assert!(limits.are_reached_by(1, ends));
    assert!(limits.are_reached_already(&reported(1000, Some(500)), ends));
}

#[test]
fn a_task_that_comes_again_after_its_life_is_buried_whatever_was_answered() {
    let (ends, envelope) = (START.plus(LIFE), envelope());
    let is_buried = |reported: &Reported, now| {
        ending(Limits::of(&envelope, None, reported, now), Some(ends))
            .are_reached_already(reported, now)
    };
    for previous in [None, Some(0), Some(404), Some(408), Some(500), Some(503), Some(ONE_MORE)] {
        for executions in [None, Some(0), Some(1)] {
            let reported = Reported { executions, ..reported(1, previous) };
            assert!(is_buried(&reported, ends), "{reported:?}");
            assert!(!is_buried(&reported, ends.minus(MINUTE)), "{reported:?}");
        }
    }
    assert!(!is_buried(&reported(0, None), ends), "it was never sent");
}

fn copied(attempts: u32) -> Copied {
    Copied { number: 1, attempts, first_attempt: Some(START), replayed: None }
}

#[test]
fn attempts_before_a_copy_count_and_a_copy_that_comes_for_the_first_time_is_run() {
    let retry =
        RetryConfig::new().with_max_attempts(Some(3)).with_max_retry_duration(Some(10 * MINUTE));
    let envelope = Envelope { copied: Some(copied(2)), ..with(|spec| spec.retry = Some(retry)) };
    let (early, late) = (START.plus(MINUTE), START.plus(10 * MINUTE));
    let limits =
        |retries, now| ending(Limits::of(&envelope, None, &reported(retries, None), now), None);
    assert_eq!([limits(0, late).made(), limits(2, late).made()], [2, 4]);
    assert!(limits(0, late).are_reached_by(3, late) && !limits(0, early).are_reached_by(3, early));
    assert!(!limits(0, late).are_reached_already(&reported(0, None), late));
    assert!(limits(1, late).are_reached_already(&reported(1, None), late));
}

#[test]
fn the_life_of_a_replayed_task_is_counted_from_its_replay() {
    let (id, replayed) = (TaskId::first_of(START.plus(MINUTE)), START.plus(LIFE));
    assert!(!is_nearly_over(id, Some(replayed), START.plus(LIFE + LIFE).minus(MINUTE)));
    assert!(is_nearly_over(id, Some(replayed), START.plus(LIFE + LIFE)));
}

#[test]
fn refusals_are_subtracted_where_the_queue_counts_them() {
    let reported = |previous| Reported { executions: Some(7), ..reported(9, Some(previous)) };
    assert_eq!([made(&reported(404)), made(&reported(500)), made(&reported(504))], [2; 3]);
    assert_eq!(made(&reported(SINGULAR)), 9, "these may be attempts that failed as expected");
    assert_eq!(made(&Reported { executions: Some(99), ..Reported::default() }), 0);
}

#[test]
fn one_more_attempt_follows_one_that_was_the_first_perhaps() {
    let retry = RetryConfig::new().with_max_attempts(Some(3));
    let limits = limits(&retry, 5, START);
    assert!(limits.grant_one_more(&reported(5, Some(404)), START));
    assert!(!limits.grant_one_more(&reported(1, Some(404)), START), "the task has attempts left");
    for no_refusal in [None, Some(500), Some(504), Some(SINGULAR), Some(ONE_MORE)] {
        assert!(!limits.grant_one_more(&reported(5, no_refusal), START), "{no_refusal:?}");
    }
    assert!(
        !ending(limits, Some(START)).grant_one_more(&reported(5, Some(404)), START),
        "the queue deletes the task"
    );
    let once = RetryConfig::new().with_max_attempts(Some(1));
    assert!(!self::limits(&once, 5, START).grant_one_more(&reported(5, Some(404)), START));
}

#[test]
fn a_refusal_between_attempts_grants_one_more_once() {
    for refusal in [Reply::NotAuthentic, Reply::NotPost, Reply::NoSuchPath, Reply::Overloaded] {
        let events = [Event::Refused(refusal), Event::Fails(500)].repeat(20);
        for [counts_executions, is_copied] in [[false; 2], [false, true], [true, false], [true; 2]]
        {
            let (made, is_dead) = attempts(&events, 3, counts_executions, is_copied);
            assert!(is_dead && made <= 4, "{refusal:?}: {made}");
        }
    }
    let events = [Event::Intercepted, Event::Fails(500)].repeat(20);
    assert!(attempts(&events, 3, false, true).0 <= 4 && attempts(&events, 3, true, true).0 <= 4);
}

/// What happens to one delivery.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// The service refuses the delivery.
    Refused(Reply),
    /// The platform answers 503 before the service sees the request.
    Intercepted,
    /// The handler fails, and the service answers with this status.
    Fails(u16),
    /// The handler fails, and its dead letter cannot be stored.
    FailsAndSinkFails,
    /// The handler fails and chooses the time of the next attempt: a copy is made.
    Postpones,
    /// The instance is lost.
    Lost,
}

/// Returns the number of attempts before the task is a dead letter, and whether it became one.
fn attempts(events: &[Event], cap: u32, counts_executions: bool, is_copied: bool) -> (u32, bool) {
    let mut envelope = with(|spec| spec.max_attempts = Some(cap));
    let (mut made, mut retries, mut executions, mut previous) = (0, 0, 0, None);
    for event in events {
        let reported = Reported {
            executions: counts_executions.then_some(executions),
            ..reported(retries, previous)
        };
        let limits = ending(Limits::of(&envelope, None, &reported, START), None);
        let verdict = Verdict::Retry { error: String::new(), after: None, max_attempts: None };
        let status = if let Event::Refused(answer) = event {
            Some(answer.following(previous).into_response().status().as_u16())
        } else if *event == Event::Intercepted {
            Some(503)
        } else if limits.are_reached_already(&reported, START) {
            match event {
                Event::FailsAndSinkFails => Some(500),
                _ => return (made, true),
            }
        } else {
            made += 1;
            let Change::To { facts, .. } = limits.settle(&verdict, START) else { unreachable!() };
            match event {
                Event::Lost => None,
                _ if limits.grant_one_more(&reported, START) && is_copied => {
                    let attempts = limits.granted(facts, None, START).attempts;
                    envelope.copied = Some(copied(attempts));
                    (retries, executions, previous) = (0, 0, None);
                    continue;
                }
                _ if limits.grant_one_more(&reported, START) => Some(ONE_MORE),
                Event::Fails(_) | Event::Postpones if facts.died.is_some() => {
                    return (made, true);
                }
                Event::Postpones => {
                    envelope.copied = Some(copied(facts.attempts));
                    (retries, executions, previous) = (0, 0, None);
                    continue;
                }
                Event::Fails(status) => Some(*status),
                _ => Some(500),
            }
        };
        // As Google reports for HTTP targets: a request without an answer counts as 504.
        previous = status.or(Some(504));
        retries += 1;
        executions += u32::from(status.is_some_and(|status| status < 500));
    }
    (made, false)
}

fn refusals() -> impl Strategy<Value = Event> {
    let refusals = vec![
        Reply::NotPost,
        Reply::NoSuchPath,
        Reply::NotAuthentic,
        Reply::BodyBroken,
        Reply::Unroutable,
        Reply::TooLarge,
        Reply::Overloaded,
    ];
    prop::sample::select(refusals).prop_map(Event::Refused)
}

proptest! {
    /// The next attempt is not earlier than the handler asked for, unless that is after the end
    /// of the task's life.
    #[test]
    fn no_copy_is_scheduled_after_the_end_of_a_life(
        micros in any::<u64>(),
        age in 0..LIFE.as_secs(),
    ) {
        let envelope = with(|spec| spec.id = TaskId::generate());
        let made = envelope.spec.id.made().unwrap();
        let (now, ends) = (made.plus(Duration::from_secs(age)), made.plus(LIFE));
        let limits = Limits::of(&envelope, None, &reported(0, None), now);
        let after = Duration::from_micros(micros);
        let verdict =
            Verdict::Retry { error: String::new(), after: Some(after), max_attempts: None };
        let Change::To { facts, .. } = limits.settle(&verdict, now) else { unreachable!() };
        prop_assert_eq!(limits.next(facts), now.plus(after).min(ends));
    }

    /// Limits hold whatever refuses deliveries in between.
    #[test]
    fn attempts_never_exceed_the_cap_by_more_than_one(
        events in prop::collection::vec(
            prop_oneof![
                refusals(),
                Just(Event::Fails(500)),
                Just(Event::Fails(504)),
                Just(Event::Postpones),
            ],
            0..60,
        ),
        cap in 1_u32..8,
        counts_executions: bool,
        is_copied: bool,
    ) {
        let (made, _) = attempts(&events, cap, counts_executions, is_copied);
        prop_assert!(made <= cap + u32::from(cap > 1), "{made}");
    }

    /// Where a copy remembers the attempt that was granted, also if others answer for the service.
    #[test]
    fn attempts_of_a_task_that_is_copied_are_bounded_whoever_answers(
        events in prop::collection::vec(
            prop_oneof![
                refusals(),
                Just(Event::Intercepted),
                Just(Event::Fails(500)),
                Just(Event::Fails(504)),
                Just(Event::Postpones),
            ],
            0..60,
        ),
        cap in 1_u32..8,
        counts_executions: bool,
    ) {
        let (made, _) = attempts(&events, cap, counts_executions, true);
        prop_assert!(made <= cap + u32::from(cap > 1), "{made}");
    }

    /// Without refusals the cap is exact, also for attempts that kill their instance.
    #[test]
    fn without_refusals_the_cap_is_exact(
        events in prop::collection::vec(
            prop_oneof![
                Just(Event::Fails(500)),
                Just(Event::Fails(SINGULAR)),
                Just(Event::Lost),
                Just(Event::FailsAndSinkFails),
                Just(Event::Postpones),
            ],
            20..40,
        ),
        cap in 1_u32..8,
        counts_executions: bool,
        is_copied: bool,
    ) {
        let (made, is_dead) = attempts(&events, cap, counts_executions, is_copied);
        // Expected failures before other failures count as refusals, if the queue counts those.
        let slack = if counts_executions { cap } else { 0 };
        let is_dead = is_dead
            || events.iter().rev().take_while(|event| **event == Event::FailsAndSinkFails).count()
                > 0;
        prop_assert!(is_dead && (cap..=cap + slack).contains(&made), "{made}");
    }

    #[test]
    fn a_task_that_was_only_refused_is_attempted_and_once_more(
        refused in prop::collection::vec(refusals(), 1..60),
        cap in 1_u32..8,
        counts_executions: bool,
        is_copied: bool,
    ) {
        prop_assert_eq!(attempts(&refused, cap, counts_executions, is_copied), (0, false));
        let events = [refused, vec![Event::Fails(500); 20]].concat();
        let (made, is_dead) = attempts(&events, cap, counts_executions, is_copied);
        prop_assert!(is_dead && (cap.min(2)..=cap).contains(&made), "{made}");
    }
}
