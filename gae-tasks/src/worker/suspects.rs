//! How many suspects run at once: one at first, and twice as many with each that survives.
//!
//! A suspect may kill its process, and every suspect that runs beside it is suspected more for it.
//! So they begin one at a time; and as one after the other turns out to be innocent, it is likelier
//! that the next ones are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// More than this are no suspects any more.
const MOST: usize = 1 << 20;

/// The suspects that the workers of one client have: they share the process that a suspect may
/// kill.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    counts: Mutex<Counts>,
    /// Held by the worker that is leasing: which suspects it gets is not known yet.
    turn: tokio::sync::Mutex<()>,
    /// Changes when there is room for another one.
    room: watch::Sender<()>,
}

#[derive(Debug)]
struct Counts {
    held: usize,
    /// Those of them beside which no other one may be leased.
    alone: usize,
    /// How many may run at once.
    window: usize,
}

impl Default for Counts {
    fn default() -> Self {
        Self { held: 0, alone: 0, window: 1 }
    }
}

impl Suspects {
    /// All the room there is; until the claim is dropped, no other worker has any.
    pub(super) async fn claim(&self) -> Claim<'_> {
        let turn = self.turn.lock().await;
        let counts = self.lock();
        let room = if counts.alone > 0 { 0 } else { counts.window.saturating_sub(counts.held) };
        Claim { room, in_company: counts.held > 0, _turn: turn }
    }

    /// Changes when there is room for another one.
    pub(super) fn room(&self) -> watch::Receiver<()> {
        self.room.subscribe()
    }

    /// Counts a suspect in; beside one that is `alone`, no other one may be leased.
    pub(super) fn add(&self, alone: bool) {
        let mut counts = self.lock();
        counts.held += 1;
        counts.alone += usize::from(alone);
    }

    /// Counts a suspect out.
    pub(super) fn remove(&self, alone: bool) {
        {
            let mut counts = self.lock();
            counts.held -= 1;
            counts.alone -= usize::from(alone);
        }
        self.room.send_replace(());
    }

    /// Notes that an attempt at a suspect has ended, in whatever way, and the process lives.
    pub(super) fn survived(&self) {
        let mut counts = self.lock();
        counts.window = counts.window.saturating_mul(2).min(MOST);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right of one worker to lease suspects.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// How many.
    pub(super) room: usize,
    /// Whether there are others.
    pub(super) in_company: bool,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

#[cfg(test)]
pub(super) mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// The room that there is, and whether a suspect would have company.
    pub(in crate::worker) fn room(suspects: &Suspects) -> (usize, bool) {
        let claim = pollster::block_on(suspects.claim());
        (claim.room, claim.in_company)
    }

    #[test]
    fn suspects_begin_one_at_a_time() {
        let suspects = Suspects::default();
        assert_eq!(room(&suspects), (1, false));
        suspects.add(false);
        assert_eq!(room(&suspects), (0, true));
        suspects.remove(false);
        assert_eq!(room(&suspects), (1, false));
    }

    #[test]
    fn each_survivor_doubles_the_room() {
        let suspects = Suspects::default();
        for most in [2, 4, 8] {
            suspects.survived();
            assert_eq!(room(&suspects), (most, false));
        }
        suspects.add(false);
        assert_eq!(room(&suspects), (7, true));
        (0..100).for_each(|_| suspects.survived());
        assert_eq!(room(&suspects), (MOST - 1, true));
    }

    #[test]
    fn nothing_is_leased_beside_one_that_is_alone() {
        let suspects = Suspects::default();
        (0..10).for_each(|_| suspects.survived());
        suspects.add(true);
        assert_eq!(room(&suspects), (0, true));
        suspects.remove(true);
        assert_eq!(room(&suspects), (1 << 10, false));
    }

    #[test]
    fn two_workers_do_not_lease_suspects_at_the_same_time() {
        let suspects = Suspects::default();
        let mut cx = Context::from_waker(Waker::noop());
        let claim = pollster::block_on(suspects.claim());
        let mut other = pin!(suspects.claim());
        assert!(other.as_mut().poll(&mut cx).is_pending());
        suspects.add(true);
        drop(claim);
        assert!(
            other.poll(&mut cx).map(|claim| (claim.room, claim.in_company))
                == std::task::Poll::Ready((0, true))
        );
    }
}
