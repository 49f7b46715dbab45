//! News from other processes: what they have made due for the workers of this one.

use std::time::Duration;

use rusqlite::Connection;

use super::error::Fault;
use super::lane::{Catalogue, data_version};
use super::ready;
use crate::time::Timestamp;

/// How often an idle writer looks where nobody [listens](super::listener), while there are workers. Each look takes some
/// tens of microseconds.
pub(super) const INTERVAL: Duration = Duration::from_millis(25);

/// A commit is heard of before it is done: pauses before further looks, where nothing has changed yet.
const AGAIN: [Duration; 3] = [Duration::from_millis(4), Duration::from_millis(12), Duration::from_millis(36)];

/// So often nothing has changed that there will be no further look.
const SETTLED: usize = AGAIN.len() + 1;

/// The shortest and the longest time from a write that is heard of to a look: it grows while what is written is of no
/// concern to the workers.
const DEAF: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(48)];

/// What a look around has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No other process has changed anything.
    Nothing,
    /// Nothing that concerns the workers.
    NoNews,
    News,
}

/// When to look around.
#[derive(Debug)]
pub(super) struct Attention {
    /// How often nothing had changed, since something was heard.
    in_vain: usize,
    deaf: Duration,
}

impl Default for Attention {
    fn default() -> Self {
        Self { in_vain: SETTLED, deaf: DEAF[0] }
    }
}

impl Attention {
    /// Somebody has rung.
    pub(super) const fn rouse(&mut self) {
        self.in_vain = 0;
    }

    /// Notes what a look has found.
    pub(super) fn note(&mut self, found: Found) {
        match found {
            Found::Nothing if self.in_vain < AGAIN.len() => self.in_vain += 1,
            Found::Nothing | Found::NoNews => (self.in_vain, self.deaf) = (SETTLED, (self.deaf * 2).min(DEAF[1])),
            Found::News => (self.in_vain, self.deaf) = (SETTLED, DEAF[0]),
        }
    }

    /// How long until the next look, if there is to be one though nobody rings.
    pub(super) fn again(&self) -> Option<Duration> {
        AGAIN.get(self.in_vain.checked_sub(1)?).copied()
    }

    /// How long to wait before ringing.
    pub(super) const fn deaf(&self) -> Duration {
        self.deaf
    }
}

/// What the workers of this process were told last.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The last change of another connection that was looked at.
    seen: Option<i64>,
    /// When the first task is due that they can run.
    first: Option<Timestamp>,
}

impl News {
    /// Looks whether another process has let a task become due, now or sooner than any that the workers know of.
    pub(super) fn look(
        &mut self,
        connection: &Connection,
        catalogue: &mut Catalogue,
        now: Timestamp,
    ) -> Result<Found, Fault> {
        let version = Some(data_version(connection)?);
        if self.seen == version {
            return Ok(Found::Nothing);
        }
        catalogue.refresh(connection)?;
        self.seen = version;
        let mut first = None;
        for (queues, routes) in catalogue.served() {
            let runnable = catalogue.runnable(&queues, &routes);
            first = first.into_iter().chain(ready::first(connection, &runnable)?).min();
        }
        let known = std::mem::replace(&mut self.first, first);
        let is_news = first.is_some_and(|first| first <= now || known.is_none_or(|known| first < known));
        Ok(if is_news { Found::News } else { Found::NoNews })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_was_roused_looks_again_for_a_while() {
        let mut attention = Attention::default();
        assert_eq!(attention.again(), None);
        attention.rouse();
        for pause in AGAIN {
            attention.note(Found::Nothing);
            assert_eq!(attention.again(), Some(pause));
        }
        attention.note(Found::Nothing);
        assert_eq!(attention.again(), None);
    }

    #[test]
    fn what_has_changed_ends_the_search() {
        for found in [Found::NoNews, Found::News] {
            let mut attention = Attention::default();
            attention.rouse();
            attention.note(Found::Nothing);
            attention.note(found);
            assert_eq!(attention.again(), None);
        }
    }

    #[test]
    fn who_hears_of_others_only_listens_less_and_less() {
        let mut attention = Attention::default();
        let deaf = std::array::from_fn(|_| {
            attention.note(Found::NoNews);
            attention.deaf().as_millis()
        });
        assert_eq!(deaf, [2, 4, 8, 16, 32, 48, 48]);
        attention.note(Found::News);
        assert_eq!(attention.deaf(), DEAF[0]);
    }
}
