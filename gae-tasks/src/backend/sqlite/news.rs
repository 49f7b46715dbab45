//! News from other processes: what they have made due for the workers of this one.

use std::time::Duration;

use rusqlite::Connection;

use super::error::Fault;
use super::lane::Catalogue;
use super::ready;
use crate::time::Timestamp;

/// How often an idle writer looks, while there are workers: each look costs some microseconds.
pub(super) const INTERVAL: Duration = Duration::from_millis(7);

/// What the workers of this process were told last.
#[derive(Debug, Default)]
pub(super) struct News {
    /// When the first task is due that they can run.
    first: Option<Timestamp>,
}

impl News {
    /// Whether another process has let a task become due, now or sooner than any that the workers know of.
    pub(super) fn have_come(
        &mut self,
        connection: &Connection,
        catalogue: &mut Catalogue,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        if catalogue.is_current(connection)? {
            return Ok(false);
        }
        catalogue.refresh(connection)?;
        let mut first = None;
        for (queues, routes) in catalogue.served() {
            let runnable = catalogue.runnable(&queues, &routes);
            first = first.into_iter().chain(ready::first(connection, &runnable)?).min();
        }
        let known = std::mem::replace(&mut self.first, first);
        Ok(first.is_some_and(|first| first <= now || known.is_none_or(|known| first < known)))
    }
}
