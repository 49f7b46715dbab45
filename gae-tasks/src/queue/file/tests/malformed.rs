//! Malformed files, each with what is said of it.

use super::*;

/// Files with one mistake each, and how it is told.
const MALFORMED: &[(&str, &str)] = &[
    ("", "line 1, column 1: the file is empty"),
    ("# no queue\n", "line 1, column 1: the file is empty"),
    ("queues:\n", "line 1, column 1: `queues` is not a key of a `queue.yaml`: write `queue`"),
    ("cron:\n- url: /a\n", "`cron` is not a key of a `queue.yaml`: this is a `cron.yaml`"),
    ("- name: a\n", "line 1, column 1: a `queue.yaml` is written as lines of `key: value`"),
    ("name: a\n", "`name` is not a key of a `queue.yaml`: a queue is an entry of the list"),
    ("queue: a\n", "line 1, column 8: `queue` is a list: begin each queue with"),
    ("queue:\n  name: a\n", "line 2, column 3: `queue` is a list"),
    ("queue:\n- a\n", "line 2, column 3: a queue is written as lines of `key: value`"),
    ("queue:\n- rate: 5/s\n", "line 2, column 3: the queue has no `name`"),
    ("queue:\n- name: a\n", "line 2, column 3: the queue has no `rate`"),
    ("queue:\n- name: a_b\n  rate: 5/s\n", "line 2, column 9: `name: a_b` is not a queue's name"),
    ("queue:\n- name:\n  rate: 5/s\n", "`name` has no value: write one, or remove the key"),
    ("queue:\n- name: a\n  rate: 5\n", "line 3, column 9: `rate: 5` has no unit"),
    ("queue:\n- name: a\n  rate: 5/sec\n", "line 3, column 9: `rate: 5/sec` is not a rate"),
    ("queue:\n- name: a\n  rate: -5/s\n", "`rate: -5/s` is not a rate: use a number for a second"),
    ("queue:\n- name: a\n  rate: [5/s]\n", "line 3, column 9: `rate` has one value"),
    ("queue:\n- name: a\n  rate: 2000000/s\n", "is too fast: use 1000000/s at most"),
    ("queue:\n- name: a\n  rate: 0.001/d\n", "is too slow: use 0.05/d at least, or `0` to pause"),
    (
        "queue:\n- name: a\n  rate: 5/s\n  bucket_size: 0\n",
        "line 4, column 16: `bucket_size: 0` is too few: use 1 or more",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  bucket_size: many\n",
        "line 4, column 16: `bucket_size: many` is not a whole number",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  max_concurrent_requests: 1.5\n",
        "line 4, column 28: `max_concurrent_requests: 1.5` is not a whole number",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  max_concurrent_dispatches: 5\n",
        "line 4, column 3: `max_concurrent_dispatches` is not a key of a queue: write \
         `max_concurrent_requests`",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  bucket-size: 5\n",
        "line 4, column 3: `bucket-size` is not a key of a queue: write `bucket_size`",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  colour: red\n",
        "`colour` is not a key of a queue, which has `name`, `rate`, `mode`, `bucket_size`",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  task_retry_limit: 5\n",
        "`task_retry_limit` is not a key of a queue: it belongs under `retry_parameters`",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  rate: 6/s\n",
        "line 4, column 3: `rate` is set twice: remove one",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n- name: a\n  rate: 6/s\n",
        "line 4, column 9: the queue `a` stands in line 2 too: remove one",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  mode: lease\n",
        "line 4, column 9: `mode: lease` is no mode",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  target: My Service\n",
        "line 4, column 11: `target: My Service` is no target",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  acl: a@example.com\n",
        "line 4, column 8: `acl` is a list of lines",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  acl:\n  - email: a@example.com\n",
        "line 5, column 5: `email` is not a key of an entry of `acl`: write `user_email`",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  acl:\n  - user_email: me\n",
        "line 5, column 17: `user_email: me` is not an e-mail address",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters: 5\n",
        "line 4, column 21: `retry_parameters` is written as lines of `key: value`",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    task_retry_limit: -1\n",
        "line 5, column 23: `task_retry_limit: -1` is not a whole number",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    task_retry_limit: 4294967295\n",
        "`task_retry_limit: 4294967295` is too many: remove the key for no limit",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    max_attempts: 5\n",
        "`max_attempts` is not a key of `retry_parameters`: write `task_retry_limit`, one less",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    task_age_limit: 2 days\n",
        "line 5, column 21: `task_age_limit: 2 days` is not an age",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    task_age_limit: 90\n",
        "`task_age_limit: 90` has no unit",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    task_age_limit: 0d\n",
        "`task_age_limit: 0d` is no age: use 1s or more",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    min_backoff_seconds: 1s\n",
        "`min_backoff_seconds: 1s` is not a number of seconds",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    min_backoff_seconds: 9\n    \
         max_backoff_seconds: 2\n",
        "line 5, column 26: `min_backoff_seconds` is above `max_backoff_seconds`",
    ),
    (
        "queue:\n- name: a\n  rate: 5/s\n  retry_parameters:\n    max_doublings: lots\n",
        "line 5, column 20: `max_doublings: lots` is not a whole number: use 0 or more",
    ),
    ("total_storage_limit: lots\nqueue:\n", "`total_storage_limit: lots` is not a size"),
    ("resume_paused_queues: maybe\nqueue:\n", "`resume_paused_queues: maybe` is neither `true`"),
    ("application: shop\n", "line 1, column 1: the file has no `queue`"),
    ("queue:\n- name: a\n   rate: 5/s\n", "line 3, column "),
    ("queue:\n- name: a\n  rate: &r 5/s\n", "line 3, column 9: App Engine's files have no anchors"),
    ("queue:\n---\nqueue:\n", "line 2, column 1: the file has a second part: remove the `---`"),
];

fn mistakes(text: &str) -> Vec<String> {
    match text.parse::<Queues>() {
        Err(Error::ConfigFile { file: FILE, mistakes }) => {
            mistakes.iter().map(ToString::to_string).collect()
        }
        other => panic!("{other:?}\n{text}"),
    }
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_fix() {
    for (text, told) in MALFORMED {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{found:#?}\n{text}");
        assert!(found[0].contains(told), "{}\n{told}\n{text}", found[0]);
        assert!(found[0].starts_with("line "), "{}", found[0]);
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "aplication: shop
queue:
- rate: 5/sec
  bucket_size: none
- name: b
  rate: 1/s
  retry_parameters:
    max_retries: 5
    task_age_limit: soon
";
    let found = mistakes(text);
    let lines: Vec<_> = found.iter().map(|mistake| mistake.split(',').next().unwrap()).collect();
    assert_eq!(lines, ["line 1", "line 3", "line 3", "line 4", "line 8", "line 9"], "{found:#?}");
    let told = text.parse::<Queues>().unwrap_err().to_string();
    assert!(told.starts_with("`queue.yaml` has 6 mistakes:\n  - line 1, column 1: "), "{told}");
}
