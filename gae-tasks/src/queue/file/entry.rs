//! One queue of a `queue.yaml`.

use super::retries;
use super::values::{self, Mode, Speed};
use crate::queue::{QueueConfig, QueueName, Queues, Taken, WantedQueue};
use crate::yaml::values::whole;
use crate::yaml::{Fields, Keys, Mistakes, Node, Place, Value, shown};

const KEYS: Keys = Keys {
    of: "a queue",
    known: &[
        "name",
        "rate",
        "mode",
        "bucket_size",
        "max_concurrent_requests",
        "target",
        "acl",
        "retry_parameters",
    ],
    foreign: &[
        ("max_dispatches_per_second", "write `rate`, with its unit: `5/s`"),
        ("max_burst_size", "write `bucket_size`"),
        ("max_concurrent_dispatches", "write `max_concurrent_requests`"),
        ("concurrency", "write `max_concurrent_requests`"),
        ("max_attempts", "write `task_retry_limit`, one less, under `retry_parameters`"),
        ("max_retry_duration", "write `task_age_limit` under `retry_parameters`"),
        ("min_backoff", "write `min_backoff_seconds` under `retry_parameters`"),
        ("max_backoff", "write `max_backoff_seconds` under `retry_parameters`"),
        ("task_retry_limit", "it belongs under `retry_parameters`"),
        ("task_age_limit", "it belongs under `retry_parameters`"),
        ("min_backoff_seconds", "it belongs under `retry_parameters`"),
        ("max_backoff_seconds", "it belongs under `retry_parameters`"),
        ("max_doublings", "it belongs under `retry_parameters`"),
        ("paused", "write `rate: 0`"),
        ("service", "write `target`"),
        ("total_storage_limit", "it belongs above `queue`, as it is for all queues"),
    ],
};

const ACL: Keys = Keys {
    of: "an entry of `acl`",
    known: &["user_email", "writer_email"],
    foreign: &[("email", "write `user_email` or `writer_email`")],
};

/// App Engine's size of the token bucket of a queue that states none.
const BUCKET_SIZE: u32 = 5;

/// App Engine's bound of concurrent requests of a queue that states none.
const CONCURRENT_REQUESTS: u32 = 1_000;

/// The rate of App Engine's queue `default`, which no file has to name.
const DEFAULT_RATE: u32 = 5;

/// Reads one queue into `queues`, and returns its name with its place, if it has a valid one. A
/// paused queue goes on if `resumes`, unless its rate is zero.
pub(super) fn read(
    node: &Node,
    resumes: bool,
    queues: &mut Queues,
    mistakes: &mut Mistakes,
) -> Option<(QueueName, Place)> {
    let fields = Fields::of(node, &KEYS, mistakes)?;
    let is_pull = fields.value("mode", mistakes, values::mode) == Some(Mode::Pull);
    let speed = fields.value("rate", mistakes, values::speed);
    if fields.lacks("rate") && !is_pull {
        let problem = "the queue has no `rate`: add one, such as `rate: 5/s`, or `rate: 0` to \
                       pause the queue";
        mistakes.add(fields.place(), problem);
    }
    let mut taken = Vec::new();
    let config = limits(&fields, speed, &mut taken, mistakes);
    let config = config.with_retry(retries::read(&fields, &mut taken, mistakes));
    let name = name(&fields, mistakes);
    let notes = unsupported(&fields, is_pull, mistakes);
    let name = name?;
    let of = name.as_str();
    queues.unsupported.extend(notes.iter().map(|note| format!("queue `{of}`, {note}")));
    if is_pull {
        queues.left_alone.push(name.clone());
    } else {
        let paused = if speed == Some(Speed::Paused) { Some(true) } else { resumed(resumes) };
        queues.wanted.push(WantedQueue { name: of.to_owned(), config, paused, taken });
    }
    let place = fields.node("name").map_or(fields.place(), |node| node.place);
    Some((name, place))
}

/// The queue `default` as App Engine has it where no file names it.
pub(super) fn undeclared(resumes: bool) -> WantedQueue {
    let mut taken = vec![
        ("rate", format!("{DEFAULT_RATE}/s")),
        ("bucket_size", BUCKET_SIZE.to_string()),
        ("max_concurrent_requests", CONCURRENT_REQUESTS.to_string()),
    ];
    let config = QueueConfig::new()
        .with_max_dispatches_per_second(f64::from(DEFAULT_RATE))
        .with_max_burst_size(BUCKET_SIZE)
        .with_max_concurrent_dispatches(CONCURRENT_REQUESTS)
        .with_retry(retries::undeclared(&mut taken));
    let name = QueueName::DEFAULT.as_str().to_owned();
    WantedQueue { name, config, paused: resumed(resumes), taken }
}

fn resumed(resumes: bool) -> Option<bool> {
    resumes.then_some(false)
}

fn name(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<QueueName> {
    if fields.lacks("name") {
        mistakes.add(fields.place(), "the queue has no `name`: add one, such as `name: emails`");
    }
    fields.value("name", mistakes, |name| {
        let name = QueueName::new(name);
        name.map_err(|_| {
            "is not a queue's name: use 1 to 100 letters, digits or hyphens".to_owned()
        })
    })
}

/// The limits of a queue, with App Engine's where none is stated.
fn limits(
    fields: &Fields<'_>,
    speed: Option<Speed>,
    taken: &mut Vec<Taken>,
    mistakes: &mut Mistakes,
) -> QueueConfig {
    let mut config = QueueConfig::new();
    if let Some(Speed::PerSecond(rate)) = speed {
        config = config.with_max_dispatches_per_second(rate);
    }
    let mut number = |key: &'static str, default: u32| {
        let stated = fields.value(key, mistakes, whole(1));
        if fields.node(key).is_none() {
            taken.push((key, default.to_string()));
        }
        stated.unwrap_or(default)
    };
    config
        .with_max_burst_size(number("bucket_size", BUCKET_SIZE))
        .with_max_concurrent_dispatches(number("max_concurrent_requests", CONCURRENT_REQUESTS))
}

/// What a queue states that has no effect here, each with its line.
fn unsupported(fields: &Fields<'_>, is_pull: bool, mistakes: &mut Mistakes) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |key: &str, of: &str, instead: &str| {
        let line = fields.node(key).map_or(0, |node| node.place.line);
        notes.push(format!("line {line}: `{key}{of}` {instead}"));
    };
    if is_pull {
        note("mode", ": pull", "is left alone: here, workers run the tasks of every queue");
    }
    if let Some(target) = fields.value("target", mistakes, values::target) {
        let instead = "has no effect: a task names its service by `.target(..)`, and a client that \
                       of all its tasks";
        note("target", &format!(": {}", shown(&target)), instead);
    }
    if fields.node("acl").is_some() {
        acl(fields, mistakes);
        note("acl", "", "has no effect: who may use a queue is decided where it is stored");
    }
    notes
}

/// Checks the list of those who may use a queue.
fn acl(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let Some(node) = fields.node("acl") else { return };
    let Value::List(entries) = &node.value else {
        mistakes.add(node.place, "`acl` is a list of lines such as `- user_email: a@example.com`");
        return;
    };
    for entry in entries {
        let Some(fields) = Fields::of(entry, &ACL, mistakes) else { continue };
        for key in ACL.known {
            _ = fields.value(key, mistakes, |email| match email.contains('@') {
                true => Ok(()),
                false => Err("is not an e-mail address".to_owned()),
            });
        }
    }
}
