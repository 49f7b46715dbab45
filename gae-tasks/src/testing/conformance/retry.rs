//! Retrying: when a failed task is retried, when its retries end, and which errors are kept.

use std::time::Duration;

use super::stage::{LEASE, Stage, at, brief, just_before, queue, retry, secs, settlement};
use crate::backend::{MAX_ERROR_BYTES, MAX_ERRORS, Settled, TaskState, Verdict};
use crate::queue::{QueueConfig, RetryConfig, TypeBackoff, jitter};
use crate::task::TaskId;
use crate::time::Timestamp;

fn config(min: f64, max: f64, doublings: u32) -> RetryConfig {
    RetryConfig::new()
        .with_min_backoff(Duration::from_secs_f64(min))
        .with_max_backoff(Duration::from_secs_f64(max))
        .with_max_doublings(doublings)
}

fn failing(error: &str) -> Verdict {
    Verdict::Retry { error: error.to_owned(), after: None, max_attempts: None }
}

fn retry_after(pause: Duration) -> Verdict {
    Verdict::Retry { error: "not yet".to_owned(), after: Some(pause), max_attempts: None }
}

/// Fails the only due task repeatedly, each time as soon as it is due, and checks the pauses in
/// seconds.
async fn assert_pauses(on: &Stage, pauses: &[f64]) {
    let mut now = at(0);
    for (retries, pause) in pauses.iter().enumerate() {
        let next = now.plus(Duration::from_secs_f64(*pause));
        assert_eq!(
            on.attempt(now, retry()).await,
            Settled::Scheduled(next),
            "retry {}",
            retries + 1
        );
        now = next;
    }
}

/// Fails the only due task until it is dead, and returns the number of attempts.
async fn attempts_until_death(on: &Stage, verdict: Verdict, pause: u64) -> usize {
    let (mut now, mut attempts) = (at(0), 1);
    while on.attempt(now, verdict.clone()).await != Settled::Dead {
        (now, attempts) = (now.plus(secs(pause)), attempts + 1);
        assert!(attempts < 50, "the task does not die");
    }
    attempts
}

pub(super) async fn pauses_double_at_first_and_grow_linearly_then(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(config(10., 300., 3))).await;
    on.store(at(0), on.task()).await;
    assert_pauses(&on, &[10., 20., 40., 80., 160., 240., 300., 300.]).await;
}

pub(super) async fn pauses_grow_linearly_without_doublings(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(config(1., 10., 0))).await;
    on.store(at(0), on.task()).await;
    assert_pauses(&on, &[1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 10.]).await;
}

pub(super) async fn pauses_below_a_second_double_too(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(config(0.1, 3600., 16))).await;
    on.store(at(0), on.task()).await;
    assert_pauses(&on, &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8]).await;
}

/// Returns the default pause before a retry, with its jitter.
fn jittered(id: TaskId, retry: u32) -> Duration {
    let pause = RetryConfig::new().backoff(retry);
    pause + jitter(id, retry, pause)
}

/// Fails the only due task repeatedly and checks that its pauses are the default pauses, up to a
/// tenth longer.
async fn assert_default_pauses(on: &Stage, id: TaskId) {
    let mut now = at(0);
    for (retry_number, seconds) in
        (1..).zip([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600])
    {
        let Settled::Scheduled(next) = on.attempt(now, retry()).await else {
            panic!("retry {retry_number}")
        };
        let (pause, exact) = (next.since(now), secs(seconds));
        assert!(
            (exact..=exact + exact / 10).contains(&pause),
            "{pause:?} before retry {retry_number}"
        );
        assert_eq!(
            next,
            now.plus(jittered(id, retry_number)),
            "the jitter is a function of id and attempt"
        );
        assert_eq!(on.record(id).await.schedule_time, next);
        now = next;
    }
}

pub(super) async fn a_queue_that_was_not_configured_has_the_default_pauses(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    assert_default_pauses(&on, id).await;
}

pub(super) async fn limits_without_a_backoff_leave_the_default_pauses(on: Stage) {
    let limits = RetryConfig::new()
        .with_max_attempts(Some(50))
        .with_max_retry_duration(Some(secs(1_000_000)));
    on.configure("q", QueueConfig::new().with_retry(limits.clone())).await;
    let id = on.store(at(0), on.task()).await;
    assert_default_pauses(&on, id).await;
    on.delete(at(0), id).await;
    on.configure("q", QueueConfig::new().with_retry(config(5., 5., 4))).await;
    let id = on.store(at(0), on.task().with(|task| task.spec.retry = Some(limits))).await;
    assert_default_pauses(&on, id).await;
}

pub(super) async fn a_default_backoff_that_is_given_is_exact(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(config(1., 3600., 16))).await;
    on.store(at(0), on.task()).await;
    assert_pauses(&on, &[1., 2., 4., 8., 16., 32., 64., 128.]).await;
}

pub(super) async fn tasks_that_fail_together_are_not_retried_together(on: Stage) {
    on.store_plain(at(0), 50).await;
    let failed = on.lease_all(at(0)).await;
    let settlements = failed.iter().map(|task| settlement(task.lease, None, retry())).collect();
    let mut moments = Vec::new();
    for settled in on.settle_all(at(0), settlements).await {
        let Settled::Scheduled(next) = settled else { panic!("{settled:?}") };
        assert!((at(1)..=at(1).plus(Duration::from_millis(100))).contains(&next), "{next:?}");
        moments.push(next);
    }
    moments.sort_unstable();
    moments.dedup();
    assert!(moments.len() > 45, "{} moments", moments.len());
}

/// Leases the only due task and fails it as a task whose type states a backoff.
async fn fail_of_type(on: &Stage, now: Timestamp, of_type: TypeBackoff) -> Settled {
    let lease = on.lease_one(now).await.lease;
    let mut failed = settlement(lease, None, retry());
    failed.backoff = of_type;
    on.settle_all(now, vec![failed]).await[0]
}

pub(super) async fn a_task_types_backoff_replaces_the_queues(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(config(5., 300., 1))).await;
    let of_type =
        |min: Option<u64>, max: Option<u64>| TypeBackoff { min: min.map(secs), max: max.map(secs) };
    let stated = [
        (Some(7), None, 7, 14),
        (None, Some(8), 5, 8),
        (Some(9), Some(10), 9, 10),
        (Some(400), None, 400, 400),
    ];
    for (min, max, first, second) in stated {
        let id = on.store(at(0), on.task()).await;
        let next = at(0).plus(secs(first));
        assert_eq!(fail_of_type(&on, at(0), of_type(min, max)).await, Settled::Scheduled(next));
        let answer = fail_of_type(&on, next, of_type(min, max)).await;
        assert_eq!(answer, Settled::Scheduled(next.plus(secs(second))), "{min:?} {max:?}");
        on.delete(at(0), id).await;
    }
    on.store(at(0), on.task().with(|task| task.spec.retry = Some(config(2., 1000., 4)))).await;
    let answer = fail_of_type(&on, at(0), of_type(Some(7), None)).await;
    assert_eq!(
        answer,
        Settled::Scheduled(at(2)),
        "the backoff deferred with the task takes precedence"
    );
}

pub(super) async fn a_lease_shows_how_a_failure_is_retried(on: Stage) {
    let of_queue = config(5., 300., 1);
    on.configure("r", QueueConfig::new().with_retry(of_queue.clone())).await;
    for name in ["q", "r", "q"] {
        on.store(at(0), on.task().with(|task| task.spec.queue = queue(name))).await;
    }
    let leased = on.lease_all(at(0)).await;
    assert_eq!(leased.len(), 3);
    for task in &leased {
        let expected = (task.spec.queue == queue("r")).then_some(&of_queue);
        assert_eq!(task.retry.as_deref(), expected, "of {}", task.spec.queue);
        assert_eq!((task.attempts, task.first_attempt), (0, None));
    }
    let failed = leased
        .iter()
        .map(|task| settlement(task.lease, Some(at(3)), retry_after(secs(5))))
        .collect();
    on.settle_all(at(4), failed).await;
    for task in on.lease_all(at(9)).await {
        assert_eq!((task.attempts, task.first_attempt), (1, Some(at(3))));
    }
}

pub(super) async fn a_queue_configuration_holds_for_tasks_stored_before(on: Stage) {
    on.store(at(0), on.task()).await;
    on.configure("q", QueueConfig::new().with_retry(config(5., 5., 4))).await;
    assert_pauses(&on, &[5., 5., 5.]).await;
}

pub(super) async fn each_queue_has_its_own_pauses(on: Stage) {
    on.configure("r", QueueConfig::new().with_retry(config(5., 5., 4))).await;
    on.configure("q", QueueConfig::new().with_retry(config(0.1, 3600., 16))).await;
    on.store(at(0), on.task()).await;
    assert_pauses(&on, &[0.1]).await;
}

pub(super) async fn a_tasks_own_settings_replace_the_queues(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(config(5., 5., 4).with_max_attempts(Some(1))))
        .await;
    on.store(at(0), on.task().with(|task| task.spec.retry = Some(config(2., 1000., 4)))).await;
    assert_pauses(&on, &[2., 4., 8., 16., 32., 64., 96., 128., 160., 192., 224., 256.]).await;
}

pub(super) async fn a_failed_task_is_leased_to_nobody(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    on.settle(at(0), lease, retry_after(secs(5))).await;
    assert_eq!(on.extend(at(1), vec![lease], LEASE).await, [false]);
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 0);
    let stats = on.stats(at(0).plus(LEASE)).await[0].stats;
    assert_eq!((stats.scheduled, stats.due, stats.leased), (1, 1, 0));
    let again = on.lease_one(at(0).plus(LEASE)).await;
    assert_eq!((again.lease.id, again.attempts), (id, 1));
    assert_ne!(again.lease.token, lease.token);
    assert_eq!(on.record(id).await.lost_leases, 0);
}

pub(super) async fn a_pause_below_a_second_is_kept(on: Stage) {
    on.store(at(0), on.task()).await;
    let pause = Duration::from_millis(1500);
    assert_eq!(on.attempt(at(0), retry_after(pause)).await, Settled::Scheduled(at(0).plus(pause)));
    assert!(on.lease_all(just_before(at(0).plus(pause))).await.is_empty());
    assert_eq!(on.lease_all(at(0).plus(pause)).await.len(), 1);
}

pub(super) async fn a_failed_task_waits_for_its_time(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.attempt(at(0), retry_after(secs(60))).await;
    assert_eq!(on.record(id).await.state, TaskState::Scheduled);
    assert!(on.lease_all(just_before(at(60))).await.is_empty());
    assert_eq!(on.lease_one(at(60)).await.lease.id, id);
}

pub(super) async fn a_pause_the_handler_asks_for_replaces_the_backoff(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(config(0.1, 3600., 16))).await;
    let id = on.store(at(0), on.task()).await;
    assert_eq!(on.attempt(at(0), retry_after(secs(77))).await, Settled::Scheduled(at(77)));
    assert_eq!(on.record(id).await.schedule_time, at(77));
    assert_eq!(on.attempt(at(77), retry_after(Duration::ZERO)).await, Settled::Scheduled(at(77)));
    assert_eq!(
        on.attempt(at(77), retry()).await,
        Settled::Scheduled(at(77).plus(Duration::from_millis(400)))
    );
}

pub(super) async fn a_pause_the_handler_asks_for_does_not_prolong_a_life(on: Stage) {
    on.store(at(0), on.task().with(|task| task.spec.max_attempts = Some(1))).await;
    assert_eq!(on.attempt(at(0), retry_after(secs(1))).await, Settled::Dead);
}

pub(super) async fn attempts_are_counted(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    for attempts in 1..=3 {
        on.attempt(at(i64::from(attempts) * 60), retry()).await;
        assert_eq!(on.record(id).await.attempts, attempts);
    }
}

pub(super) async fn the_begin_of_the_first_attempt_is_kept(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    for (began, ended) in [(11, 15), (21, 25)] {
        let lease = on.lease_one(at(began - 1)).await.lease;
        on.settle_all(at(ended), vec![settlement(lease, Some(at(began)), retry())]).await;
        assert_eq!(on.record(id).await.first_attempt, Some(at(11)));
    }
}

pub(super) async fn an_attempt_of_unknown_begin_began_when_it_ended(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.attempt(at(5), retry()).await;
    assert_eq!(on.record(id).await.first_attempt, Some(at(5)));
}

pub(super) async fn a_task_dies_at_its_queues_max_attempts(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(3))))
        .await;
    let id = on.store(at(0), on.task()).await;
    assert_eq!(attempts_until_death(&on, retry(), 60).await, 3);
    let record = on.record(id).await;
    assert_eq!((record.state, record.died, record.attempts), (TaskState::Dead, Some(at(120)), 3));
    assert_eq!(record.errors.len(), 3);
}

pub(super) async fn a_task_dies_at_its_queues_max_retry_duration(on: Stage) {
    let patience = brief().with_max_attempts(None).with_max_retry_duration(Some(secs(100)));
    on.configure("q", QueueConfig::new().with_retry(patience)).await;
    on.store(at(0), on.task()).await;
    assert_ne!(on.attempt(at(0), retry()).await, Settled::Dead);
    assert_ne!(on.attempt(just_before(at(100)), retry()).await, Settled::Dead);
    assert_eq!(on.attempt(at(101), retry()).await, Settled::Dead);
}

pub(super) async fn a_task_dies_when_both_limits_are_reached(on: Stage) {
    let both = brief().with_max_attempts(Some(2)).with_max_retry_duration(Some(secs(100)));
    on.configure("q", QueueConfig::new().with_retry(both.clone())).await;
    on.store(at(0), on.task()).await;
    assert_eq!(attempts_until_death(&on, retry(), 30).await, 5);
    on.store(at(0), on.task().with(|task| task.spec.retry = Some(both.with_max_attempts(Some(7)))))
        .await;
    assert_eq!(attempts_until_death(&on, retry(), 30).await, 7);
}

pub(super) async fn a_retry_duration_counts_from_the_first_attempt(on: Stage) {
    let patience = brief().with_max_attempts(None).with_max_retry_duration(Some(secs(10)));
    on.store(at(0), on.task().with(|task| task.spec.retry = Some(patience))).await;
    let lease = on.lease_one(at(500)).await.lease;
    let failed = settlement(lease, Some(at(500)), retry());
    assert_ne!(on.settle_all(at(509), vec![failed]).await, [Settled::Dead]);
    assert_eq!(on.attempt(at(510), retry()).await, Settled::Dead);
}

pub(super) async fn a_tasks_own_cap_stops_alone(on: Stage) {
    let endless =
        RetryConfig::new().with_max_attempts(None).with_max_retry_duration(Some(secs(1_000_000)));
    on.store(
        at(0),
        on.task().with(|task| {
            task.spec.max_attempts = Some(2);
            task.spec.retry = Some(endless);
        }),
    )
    .await;
    assert_eq!(attempts_until_death(&on, retry(), 60).await, 2);
}

pub(super) async fn a_task_types_cap_stops_alone(on: Stage) {
    on.store(at(0), on.task()).await;
    let verdict = Verdict::Retry { error: String::new(), after: None, max_attempts: Some(4) };
    assert_eq!(attempts_until_death(&on, verdict, 60).await, 4);
}

pub(super) async fn the_smaller_of_two_caps_counts(on: Stage) {
    for (task, task_type) in [(2, 5), (5, 2)] {
        on.store(at(0), on.task().with(|new| new.spec.max_attempts = Some(task))).await;
        let verdict =
            Verdict::Retry { error: String::new(), after: None, max_attempts: Some(task_type) };
        assert_eq!(attempts_until_death(&on, verdict, 60).await, 2);
    }
}

pub(super) async fn the_last_errors_are_kept_oldest_first(on: Stage) {
    on.retry_briefly("r").await;
    let id = on.store(at(0), on.task().with(|task| task.spec.queue = queue("r"))).await;
    let moment = |attempt: u32| at(i64::from(attempt) * 1000);
    for attempt in 1..=13 {
        on.attempt(moment(attempt), failing(&format!("error {attempt}"))).await;
    }
    let kept = on.record(id).await.errors;
    assert_eq!(kept.len(), MAX_ERRORS);
    for (attempt, error) in (4..).zip(kept) {
        assert_eq!((error.attempt, error.at), (attempt, moment(attempt)));
        assert_eq!(error.message, format!("error {attempt}"));
    }
}

async fn kept_message(on: &Stage, now: Timestamp, message: &str) -> String {
    let id = on.store(now, on.task()).await;
    on.attempt(now, failing(message)).await;
    let kept = on.record(id).await.errors[0].message.clone();
    on.delete(now, id).await;
    kept
}

pub(super) async fn a_long_error_is_cut_at_a_characters_end(on: Stage) {
    let fits = "x".repeat(MAX_ERROR_BYTES);
    assert_eq!(kept_message(&on, at(0), &fits).await, fits);
    assert_eq!(kept_message(&on, at(0), &format!("{fits}y")).await, fits);
    let umlauts = format!("x{}", "ä".repeat(MAX_ERROR_BYTES));
    assert_eq!(kept_message(&on, at(0), &umlauts).await, umlauts[..MAX_ERROR_BYTES - 1]);
}

pub(super) async fn an_error_is_kept_character_by_character(on: Stage) {
    for message in ["", "it's \"quoted\"; --", "line\nbreak\ttab", "nul\0inside", "日本語 🦀"]
    {
        assert_eq!(kept_message(&on, at(0), message).await, message);
    }
}
