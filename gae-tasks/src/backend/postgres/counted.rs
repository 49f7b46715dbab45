//! Leases that count because their queue has limits, and what becomes free when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::queue::QueueName;

/// A lease that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    queue: QueueName,
    /// Whether the lease has taken a token.
    is_paid: bool,
}

impl Counted {
    /// Reads a lease from its queue and whether it has taken a token, which stand at `first`;
    /// `None` if it does not count.
    pub(super) fn read(row: &PgRow, first: usize) -> Result<Option<Self>, sqlx::Error> {
        let (queue, paid): (Option<String>, Option<bool>) =
            (row.try_get(first)?, row.try_get(first + 1)?);
        let queue = queue.and_then(|queue| QueueName::new(queue).ok());
        Ok(queue.map(|queue| Self { queue, is_paid: paid.unwrap_or_default() }))
    }
}

/// Leases that counted and have ended, by queue, and how many tokens of each are given back.
#[derive(Debug, Default)]
pub(super) struct EndedLeases(BTreeMap<QueueName, usize>);

impl EndedLeases {
    /// Adds a lease; if no attempt was made under it, it gives its token back.
    pub(super) fn add(&mut self, counted: Counted, gives_back: bool) {
        let tokens = self.0.entry(counted.queue).or_default();
        *tokens += usize::from(counted.is_paid && gives_back);
    }

    pub(super) fn append(&mut self, other: Self) {
        for (queue, tokens) in other.0 {
            *self.0.entry(queue).or_default() += tokens;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the queues of the leases.
    pub(super) fn queues(&self) -> impl Iterator<Item = &QueueName> {
        self.0.keys()
    }

    /// Returns the queues that get tokens back, and how many.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (&QueueName, usize)> {
        self.0.iter().filter(|(_, tokens)| **tokens > 0).map(|(queue, tokens)| (queue, *tokens))
    }
}

/// The queues in which a place has become free, of which other processes are to be told.
#[derive(Debug, Default)]
pub(super) struct Vacant(Mutex<Vacancies>);

#[derive(Debug, Default)]
struct Vacancies {
    queues: BTreeSet<QueueName>,
    /// Whether somebody is at work with them.
    is_told: bool,
}

impl Vacant {
    fn lock(&self) -> MutexGuard<'_, Vacancies> {
        // Every change is a whole one, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds queues; returns whether somebody must begin to tell of them.
    pub(super) fn add(&self, queues: impl IntoIterator<Item = QueueName>) -> bool {
        let mut vacant = self.lock();
        vacant.queues.extend(queues);
        !mem::replace(&mut vacant.is_told, true)
    }

    /// Takes the queues that were added. With none, nobody tells any more.
    pub(super) fn take(&self) -> BTreeSet<QueueName> {
        let mut vacant = self.lock();
        let queues = mem::take(&mut vacant.queues);
        vacant.is_told = !queues.is_empty();
        queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> QueueName {
        QueueName::new(name).unwrap()
    }

    fn counted(name: &str, is_paid: bool) -> Counted {
        Counted { queue: queue(name), is_paid }
    }

    #[test]
    fn only_what_was_paid_and_not_used_is_given_back() {
        let (mut ended, mut other) = (EndedLeases::default(), EndedLeases::default());
        assert!(ended.is_empty());
        for (is_paid, gives_back) in [(true, true), (true, false), (false, true)] {
            ended.add(counted("a", is_paid), gives_back);
        }
        ended.add(counted("b", true), false);
        other.add(counted("a", true), true);
        ended.append(other);
        assert_eq!(ended.tokens().collect::<Vec<_>>(), [(&queue("a"), 2)]);
        assert_eq!(ended.queues().collect::<Vec<_>>(), [&queue("a"), &queue("b")]);
    }

    #[test]
    fn one_tells_of_all_vacancies_until_there_are_none() {
        let vacant = Vacant::default();
        assert!(vacant.add([queue("a")]) && !vacant.add([queue("a"), queue("b")]));
        assert_eq!(vacant.take(), BTreeSet::from(["a", "b"].map(queue)));
        assert!(!vacant.add([queue("c")]), "whoever has taken them looks once more");
        assert_eq!(vacant.take(), BTreeSet::from([queue("c")]));
        assert!(vacant.take().is_empty() && vacant.add([queue("a")]));
    }
}
