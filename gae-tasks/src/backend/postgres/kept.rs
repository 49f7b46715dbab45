//! Connections that calls have just given back whole, for the next call: the driver's pool asks
//! each connection that it gets back whether it lives, and a round trip is half of a short call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most connections that are kept.
const MOST: usize = 4;

/// A connection that nobody has used for so long goes back to the driver's pool.
const UNUSED: Duration = Duration::from_secs(10);

/// After this time each one does, and the pool looks how old it is.
const HAD: Duration = Duration::from_secs(60);

/// Connections that are kept.
#[derive(Debug)]
pub(super) struct Kept<C>(Mutex<State<C>>);

#[derive(Debug)]
struct State<C> {
    /// The one that was used last is the last.
    free: Vec<Free<C>>,
    /// How many calls wait for a connection of the driver's pool.
    waiting: usize,
}

/// A connection that nobody uses.
#[derive(Debug)]
pub(super) struct Free<C> {
    pub(super) connection: C,
    /// Since when the connection is not in the driver's pool.
    pub(super) had: Instant,
    /// Since when nobody uses it.
    pub(super) since: Instant,
}

/// Counts a call as one that waits, until this is dropped.
pub(super) struct Waiting<'a, C>(&'a Kept<C>);

impl<C> Kept<C> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { free: Vec::new(), waiting: 0 }))
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        // Every change is a whole one, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection that was used last. If there is none, the call counts as one that
    /// waits.
    pub(super) fn take(&self) -> Result<Free<C>, Waiting<'_, C>> {
        let mut state = self.state();
        match state.free.pop() {
            Some(free) => Ok(free),
            None => {
                state.waiting += 1;
                Err(Waiting(self))
            }
        }
    }

    /// Keeps a connection that was had since `had`, if nobody waits for it. Returns those that go
    /// back to the driver's pool.
    pub(super) fn keep(&self, connection: C, had: Instant, now: Instant) -> Vec<C> {
        let mut state = self.state();
        let is_old = |free: &mut Free<C>| now.saturating_duration_since(free.since) > UNUSED;
        let mut back: Vec<_> =
            state.free.extract_if(.., is_old).map(|free| free.connection).collect();
        let is_kept = state.waiting == 0
            && state.free.len() < MOST
            && now.saturating_duration_since(had) < HAD;
        if is_kept {
            state.free.push(Free { connection, had, since: now });
        } else {
            back.push(connection);
        }
        back
    }

    /// Takes all connections.
    pub(super) fn take_all(&self) -> Vec<C> {
        self.state().free.drain(..).map(|free| free.connection).collect()
    }
}

impl<C> Drop for Waiting<'_, C> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn taken(kept: &Kept<u8>) -> Option<u8> {
        kept.take().ok().map(|free| free.connection)
    }

    #[test]
    fn the_connection_that_was_used_last_is_used_next() {
        let (kept, now) = (Kept::new(), Instant::now());
        for connection in 1..=3 {
            assert!(kept.keep(connection, now, now).is_empty());
        }
        assert_eq!(
            [taken(&kept), taken(&kept), taken(&kept), taken(&kept)],
            [Some(3), Some(2), Some(1), None]
        );
    }

    #[test]
    fn nothing_is_kept_from_those_who_wait() {
        let (kept, now) = (Kept::new(), Instant::now());
        let waiting = kept.take();
        assert!(waiting.is_err());
        assert_eq!(kept.keep(7, now, now), [7]);
        drop(waiting);
        assert!(kept.keep(7, now, now).is_empty());
        assert_eq!(taken(&kept), Some(7));
    }

    #[test]
    fn few_connections_are_kept_and_none_for_long() {
        let (kept, now) = (Kept::new(), Instant::now());
        for connection in 1..=4_u8 {
            assert!(kept.keep(connection, now, now + SECOND * u32::from(connection)).is_empty());
        }
        assert_eq!(kept.keep(5, now, now + SECOND * 5), [5]);
        // The first was not used for more than ten seconds.
        assert_eq!(kept.keep(6, now, now + SECOND * 12), [1]);
        assert_eq!(kept.keep(7, now, now + SECOND * 60), [2, 3, 4, 6, 7]);
    }

    #[test]
    fn all_are_taken_at_the_end() {
        let (kept, now) = (Kept::new(), Instant::now());
        assert!(kept.keep(1, now, now).is_empty() && kept.keep(2, now, now).is_empty());
        assert_eq!((kept.take_all(), taken(&kept)), (vec![1, 2], None));
    }
}
