//! Files in every documented form.

use std::time::Duration;

use super::*;
use crate::queue::{RetryConfig, WantedQueue};

const SECOND: Duration = Duration::from_secs(1);

/// How App Engine retries where nothing is stated.
fn for_ever() -> RetryConfig {
    RetryConfig::new()
        .with_max_attempts(None)
        .with_min_backoff(SECOND / 10)
        .with_max_backoff(3_600 * SECOND)
        .with_max_doublings(16)
}

fn wanted<'q>(queues: &'q Queues, name: &str) -> &'q WantedQueue {
    queues.wanted.iter().find(|queue| queue.name == name).expect("the queue is wanted")
}

fn taken(queue: &WantedQueue) -> Vec<String> {
    queue.taken.iter().map(|(key, value)| format!("{key}: {value}")).collect()
}

#[test]
fn a_queue_with_a_rate_takes_app_engines_defaults_and_shows_them() {
    let queues = read("queue:\n- name: emails\n  rate: 5/s\n");
    let emails = wanted(&queues, "emails");
    let config = QueueConfig::new()
        .with_max_dispatches_per_second(5.0)
        .with_max_burst_size(5)
        .with_max_concurrent_dispatches(1_000)
        .with_retry(for_ever());
    assert_eq!((&emails.config, emails.paused), (&config, Some(false)));
    let defaults = [
        "bucket_size: 5",
        "max_concurrent_requests: 1000",
        "task_retry_limit: none",
        "task_age_limit: none",
        "min_backoff_seconds: 0.1",
        "max_backoff_seconds: 3600",
        "max_doublings: 16",
    ];
    assert_eq!(taken(emails), defaults);
    assert_eq!(queues.taken, [("resume_paused_queues", "true".to_owned())]);
    assert_eq!((queues.unsupported.len(), queues.left_alone.len()), (0, 0));
}

#[test]
fn what_is_stated_is_taken_from_nowhere_else() {
    let text = "
        resume_paused_queues: false
        queue:
        - name: emails
          mode: push
          rate: 0.5/s
          bucket_size: 40
          max_concurrent_requests: 10
          retry_parameters:
            task_retry_limit: 7
            task_age_limit: 2d
            min_backoff_seconds: 10
            max_backoff_seconds: 200.5
            max_doublings: 0
    ";
    let queues = read(text);
    let emails = wanted(&queues, "emails");
    let retry = RetryConfig::new()
        .with_max_attempts(Some(8))
        .with_max_retry_duration(Some(172_800 * SECOND))
        .with_min_backoff(10 * SECOND)
        .with_max_backoff(Duration::from_millis(200_500))
        .with_max_doublings(0);
    let config = QueueConfig::new()
        .with_max_dispatches_per_second(0.5)
        .with_max_burst_size(40)
        .with_max_concurrent_dispatches(10)
        .with_retry(retry);
    assert_eq!((&emails.config, emails.paused), (&config, None));
    assert_eq!((emails.taken.len(), queues.taken.len()), (0, 0));
}

#[test]
fn a_rate_has_every_unit() {
    for (rate, per_second) in [("5/s", 5.0), ("30/m", 0.5), ("1800/h", 0.5), ("'43200/d'", 0.5)] {
        let config = queue(&format!("- name: a\n  rate: {rate}\n"));
        assert_eq!(config.max_dispatches_per_second(), Some(per_second), "{rate}");
    }
}

#[test]
fn a_rate_of_zero_pauses_the_queue() {
    for rate in ["0", "'0'", "0/s"] {
        let queues = read(&format!("queue:\n- name: a\n  rate: {rate}\n"));
        let queue = wanted(&queues, "a");
        assert_eq!((queue.paused, queue.config.max_dispatches_per_second()), (Some(true), None));
    }
}

#[test]
fn a_default_follows_the_pause_that_is_stated() {
    let retry = |lines: &str| {
        let lines = format!("- name: a\n  rate: 1/s\n  retry_parameters:\n{lines}");
        let retry = queue(&lines).retry().clone();
        (retry.min_backoff(), retry.max_backoff())
    };
    assert_eq!(retry("    min_backoff_seconds: 7200\n"), (7_200 * SECOND, 7_200 * SECOND));
    assert_eq!(retry("    max_backoff_seconds: 0.05\n"), (SECOND / 20, SECOND / 20));
    assert_eq!(retry("    min_backoff_seconds: 2\n"), (2 * SECOND, 3_600 * SECOND));
}

#[test]
fn a_retry_limit_of_zero_is_one_attempt() {
    let lines = "- name: a\n  rate: 1/s\n  retry_parameters:\n    task_retry_limit: 0\n";
    assert_eq!(queue(lines).retry().max_attempts(), Some(1));
}

#[test]
fn flow_and_quoted_forms_are_read_alike() {
    let block = "- name: a\n  rate: 1/s\n  retry_parameters:\n    max_doublings: 3\n";
    let flow = "- {name: 'a', \"rate\": 1/s, retry_parameters: {max_doublings: 3}}\n";
    assert_eq!(queue(block), queue(flow));
    assert_eq!(queue(block), queue(&block.replace('\n', "\r\n")));
    assert_eq!(queue(block), queue(&format!("# a comment\n{block}# another\n")));
}

#[test]
fn a_file_may_have_no_queues_of_its_own() {
    for text in ["queue:\n", "queue: []\n", "---\nqueue:\n"] {
        let names: Vec<_> = read(text).iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["default"], "{text:?}");
    }
}

#[test]
fn the_queue_default_is_app_engines_unless_it_is_declared() {
    let queues = read("queue:\n- name: a\n  rate: 1/s\n");
    let default = wanted(&queues, "default");
    assert_eq!(default.config.max_dispatches_per_second(), Some(5.0));
    assert_eq!(default.config.max_burst_size(), Some(5));
    assert_eq!(default.config.retry(), &for_ever());
    assert_eq!(taken(default)[..2], ["rate: 5/s", "bucket_size: 5"]);
    let declared = read("queue:\n- name: default\n  rate: 500/s\n");
    assert_eq!(declared.wanted.len(), 1);
    let stated = wanted(&declared, "default").config.max_dispatches_per_second();
    assert_eq!(stated, Some(500.0));
}

#[test]
fn what_has_no_effect_here_is_named_with_its_line() {
    let text = "application: shop
total_storage_limit: 1.2G
queue:
- name: push-queue
  rate: 1/s
  target: v2.worker
  acl:
  - user_email: a@example.com
  - writer_email: b@example.com
- name: pull-queue
  mode: pull
  acl: []
";
    let queues = read(text);
    let begins = [
        "line 1: `application: shop` has no effect",
        "line 2: `total_storage_limit: 1.2G` has no effect",
        "queue `push-queue`, line 6: `target: v2.worker` has no effect",
        "queue `push-queue`, line 8: `acl` has no effect",
        "queue `pull-queue`, line 11: `mode: pull` is left alone",
        "queue `pull-queue`, line 12: `acl` has no effect",
    ];
    assert_eq!(queues.unsupported.len(), begins.len(), "{:#?}", queues.unsupported);
    for (note, begin) in queues.unsupported.iter().zip(begins) {
        assert!(note.starts_with(begin), "{note}");
    }
    let left: Vec<_> = queues.left_alone.iter().map(QueueName::as_str).collect();
    assert_eq!(left, ["pull-queue"]);
    assert!(queues.iter().all(|(name, _)| name != "pull-queue"), "a pull queue is left alone");
}

#[test]
fn a_pull_queue_called_default_is_no_other_queue() {
    let queues = read("queue:\n- name: default\n  mode: pull\n");
    assert_eq!((queues.wanted.len(), queues.left_alone.len()), (0, 1));
}
