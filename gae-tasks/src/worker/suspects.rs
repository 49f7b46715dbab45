//! The number of suspects that run at once: one at first, and twice as many after each suspect that
//! survives.
//!
//! A suspect may kill its process, and every suspect that runs beside it becomes more suspect. So
//! suspects begin one at a time; each suspect that turns out to be innocent makes it likelier that
//! the next ones are innocent.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The largest window; the window does not grow beyond it.
const MOST: usize = 1 << 20;

/// The suspects of all workers of one client: these workers share the process that a suspect may
/// kill.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    counts: Mutex<Counts>,
    /// Held by the worker that is leasing: it is not known yet which suspects this worker gets.
    turn: tokio::sync::Mutex<()>,
    /// Changes when there is room for another suspect.
    room: watch::Sender<()>,
}

#[derive(Debug)]
struct Counts {
    held: usize,
    /// Suspects beside which no other suspect may be leased.
    alone: usize,
    /// The number of suspects that may run at once.
    window: usize,
}

impl Default for Counts {
    fn default() -> Self {
        Self { held: 0, alone: 0, window: 1 }
    }
}

impl Suspects {
    /// Claims all room for suspects; until the claim is dropped, other workers wait.
    pub(super) async fn claim(&self) -> Claim<'_> {
        let turn = self.turn.lock().await;
        let counts = self.lock();
        let room = if counts.alone > 0 { 0 } else { counts.window.saturating_sub(counts.held) };
        Claim { room, in_company: counts.held > 0, _turn: turn }
    }

    /// Changes when there is room for another suspect.
    pub(super) fn room(&self) -> watch::Receiver<()> {
        self.room.subscribe()
    }

    /// Counts a suspect in; beside a suspect that is `alone`, no other suspect may be leased.
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

    /// Records that an attempt at a suspect has ended, in whatever way, and the process lives.
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
    /// The number of suspects to lease at most.
    pub(super) room: usize,
    /// Whether other suspects are running.
    pub(super) in_company: bool,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

#[cfg(test)]
pub(super) mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// The free room, and whether another suspect would have company.
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
