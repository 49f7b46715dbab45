//! For how long it is certain that committed rows are still there: another server may lack the last
//! ones, if it was a standby that did not have them yet, or is a restored copy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// When the server started, in microseconds since 1970: a number that no other server has.
macro_rules! started {
    () => {
        "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
    };
}
pub(super) use started;

/// A time in which what was committed stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Epoch {
    number: u64,
    /// When the server started that connections lead to; `None` before the first.
    pub(super) started: Option<i64>,
}

/// The current epoch. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Epochs(Arc<Mutex<Epoch>>);

impl Epochs {
    /// Returns the current epoch.
    pub(super) fn current(&self) -> Epoch {
        *self.epoch()
    }

    /// Ends the epoch: a connection was lost, and the next one may lead to another server.
    pub(super) fn end(&self) {
        self.epoch().number += 1;
    }

    /// Ends the epoch if a connection leads to another server than the one before, as the start
    /// time shows. Returns whether it does.
    pub(super) fn meet(&self, started: i64) -> bool {
        let mut epoch = self.epoch();
        let is_another = epoch.started != Some(started);
        if is_another {
            *epoch = Epoch { number: epoch.number + 1, started: Some(started) };
        }
        is_another
    }

    fn epoch(&self) -> MutexGuard<'_, Epoch> {
        // Every change is a whole one, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_with_a_lost_connection_and_with_its_server() {
        let epochs = Epochs::default();
        let shared = epochs.clone();
        let mut seen = vec![epochs.current()];
        for (started, is_another) in [(7, true), (7, false), (9, true), (7, true)] {
            assert_eq!(shared.meet(started), is_another);
            assert_eq!(epochs.current() != seen[seen.len() - 1], is_another, "{started}");
            seen.push(epochs.current());
        }
        shared.end();
        assert!(!seen.contains(&epochs.current()));
        assert_eq!(epochs.current().started, Some(7), "whoever comes next");
    }
}
