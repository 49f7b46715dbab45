//! What has to change in each queue.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Difference, Seen, differences};
use crate::backend::record::Letters;
use crate::backend::{Capabilities, QueueRecord};
use crate::queue::{QueueConfig, QueueName, Taken};

/// A queue that is wanted, with a valid name.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: QueueName,
    pub(super) config: QueueConfig,
    pub(super) paused: Option<bool>,
    pub(super) taken: Vec<Taken>,
}

/// What is done to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Create,
    Update,
    /// Nothing is written.
    Keep,
}

/// A queue that is configured, and what has to change in it.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) wanted: Wanted,
    pub(super) change: Change,
    /// The fields to be written.
    pub(super) fields: Vec<Difference>,
    /// Whether the queue is paused or goes on; `None` leaves it as it is.
    pub(super) pause: Option<bool>,
}

/// The comparison of all queues.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) planned: Vec<Planned>,
    /// The queues that only tasks name, and that do not exist.
    pub(super) missing: Vec<QueueName>,
    /// The wanted queues whose stored configurations cannot be read.
    pub(super) unread: Vec<QueueName>,
    /// The stored queues that nobody wants.
    pub(super) extra: Vec<QueueName>,
}

impl Compared {
    /// Compares what is wanted, and what tasks name, with what is stored.
    pub(super) fn new(
        wanted: Vec<Wanted>,
        named: &BTreeSet<QueueName>,
        stored: &[QueueRecord],
        backend: &Capabilities,
    ) -> Self {
        let stored: BTreeMap<_, _> = stored.iter().map(|record| (&record.name, record)).collect();
        let mut compared = Self::default();
        let mut known = named.clone();
        for wanted in wanted {
            known.insert(wanted.name.clone());
            match stored.get(&wanted.name) {
                Some(record) if record.config.is_none() => compared.unread.push(wanted.name),
                record => compared.planned.push(Planned::new(wanted, record.copied(), backend)),
            }
        }
        let is_planned = |name: &QueueName| stored.contains_key(name) || compared.has(name);
        compared.missing = named.iter().filter(|name| !is_planned(name)).cloned().collect();
        let is_extra = |record: &&&QueueRecord| {
            record.letters != Letters::Queue && !known.contains(&record.name)
        };
        let extra = stored.values().filter(is_extra).map(|record| record.name.clone());
        compared.extra = extra.collect();
        compared
    }

    fn has(&self, name: &QueueName) -> bool {
        self.planned.iter().any(|planned| planned.wanted.name == *name)
    }
}

impl Planned {
    /// Compares a queue with its record, which can be read, or with a queue that is missing.
    fn new(wanted: Wanted, record: Option<&QueueRecord>, backend: &Capabilities) -> Self {
        let default = QueueConfig::new();
        let seen = match record.and_then(|record| Some((record, record.config.as_ref()?))) {
            Some((record, config)) => Seen {
                config,
                ends_tasks: record.forgets_tasks(),
                lacks_letters: record.letters == Letters::Missing,
            },
            None => Seen::written(&default),
        };
        let fields = differences(seen, &wanted.config, backend);
        let change = match (record, fields.is_empty()) {
            (None, _) => Change::Create,
            (Some(_), false) => Change::Update,
            (Some(_), true) => Change::Keep,
        };
        let is_paused = record.is_some_and(|record| record.paused);
        let pause = wanted.paused.filter(|paused| *paused != is_paused);
        Self { wanted, change, fields, pause }
    }

    /// Whether anything has to change.
    pub(super) fn is_change(&self) -> bool {
        self.change != Change::Keep || self.pause.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::RetryConfig;

    fn queue(name: &str) -> QueueName {
        QueueName::new(name).unwrap()
    }

    fn wanted(name: &str) -> Wanted {
        let config = QueueConfig::new().with_max_concurrent_dispatches(3);
        Wanted { name: queue(name), config, paused: None, taken: Vec::new() }
    }

    fn compare(wanted: Vec<Wanted>, named: &[&str], stored: &[QueueRecord]) -> Compared {
        let named = named.iter().map(|name| queue(name)).collect();
        Compared::new(wanted, &named, stored, &Capabilities::new("near"))
    }

    fn stored(name: &str) -> QueueRecord {
        QueueRecord::new(queue(name), Some(QueueConfig::new()))
    }

    #[test]
    fn a_queue_is_created_changed_or_kept() {
        let as_wanted = QueueRecord::new(queue("c"), Some(wanted("c").config));
        let stored = [stored("b"), as_wanted];
        let compared = compare(["a", "b", "c"].map(wanted).into(), &[], &stored);
        let changes: Vec<_> = compared.planned.iter().map(|planned| planned.change).collect();
        assert_eq!(changes, [Change::Create, Change::Update, Change::Keep]);
        let counts: Vec<_> = compared.planned.iter().map(|planned| planned.fields.len()).collect();
        assert_eq!(counts, [1, 1, 0]);
        let are_changes: Vec<_> = compared.planned.iter().map(Planned::is_change).collect();
        assert_eq!(are_changes, [true, true, false]);
    }

    #[test]
    fn a_pause_is_a_change_by_itself() {
        let paused = |wanted_paused, is_paused| {
            let wanted = Wanted { paused: wanted_paused, ..wanted("a") };
            let config = Some(wanted.config.clone());
            let record = QueueRecord { paused: is_paused, ..QueueRecord::new(queue("a"), config) };
            let planned = compare(vec![wanted], &[], &[record]).planned.remove(0);
            (planned.pause, planned.is_change())
        };
        assert_eq!(paused(None, true), (None, false));
        assert_eq!(paused(Some(true), true), (None, false));
        assert_eq!(paused(Some(true), false), (Some(true), true));
        assert_eq!(paused(Some(false), true), (Some(false), true));
        let new = Wanted { paused: Some(false), ..wanted("new") };
        let pause = compare(vec![new], &[], &[]).planned[0].pause;
        assert_eq!(pause, None, "a new queue is not paused");
    }

    #[test]
    fn what_cannot_be_read_is_told_and_left_alone() {
        let damaged = QueueRecord { paused: true, ..QueueRecord::new(queue("a"), None) };
        let other = QueueRecord::new(queue("other"), None);
        let wanted = Wanted { paused: Some(false), ..wanted("a") };
        let compared = compare(vec![wanted], &["a"], &[damaged, other]);
        assert_eq!((compared.planned.len(), compared.missing.len()), (0, 0));
        assert_eq!((compared.unread, compared.extra), (vec![queue("a")], vec![queue("other")]));
    }

    #[test]
    fn queues_of_tasks_are_neither_changed_nor_extra() {
        let letters = QueueRecord { letters: Letters::Queue, ..stored("a-dead") };
        let stored = [stored("a"), letters, stored("named"), stored("old")];
        let compared = compare(vec![wanted("a")], &["a", "missing", "named"], &stored);
        assert_eq!(compared.planned.len(), 1);
        assert_eq!(compared.missing, [queue("missing")]);
        assert_eq!(compared.extra, [queue("old")]);
        let one = compare(vec![wanted("a")], &["a"], &[]);
        assert_eq!((one.planned.len(), one.missing.len()), (1, 0), "it is created once");
    }

    #[test]
    fn limits_of_the_backends_own_and_missing_queues_of_letters_are_changes() {
        let far = Capabilities { pull: false, retention: false, ..Capabilities::new("far") };
        let of = |record: QueueRecord| {
            let wanted = Wanted { config: QueueConfig::new(), ..wanted("a") };
            Planned::new(wanted, Some(&record), &far).fields.len()
        };
        let limited = QueueConfig::new().with_retry(RetryConfig::new());
        let limited = limited.with_dead_letter_retention(std::time::Duration::ZERO);
        let record = QueueRecord::new(queue("a"), Some(limited));
        assert!(record.forgets_tasks());
        assert_eq!((of(record), of(stored("a"))), (2, 0));
        assert_eq!(of(QueueRecord { letters: Letters::Missing, ..stored("a") }), 1);
    }
}
