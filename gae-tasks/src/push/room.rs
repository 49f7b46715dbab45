//! Limits the requests in progress, and the bytes of tasks in memory for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::dispatch::Permit;
use crate::log;

/// The unit in which bytes are counted.
const UNIT: u64 = 1024;

/// The total room.
#[derive(Debug)]
pub(crate) struct Capacity {
    /// The most requests at the same time.
    requests: usize,
    running: AtomicUsize,
    /// Free units of bytes. A request that waits for units gets returned units before any other.
    units: Arc<Semaphore>,
    /// The most units at the same time.
    most: u32,
    /// The place of the one request that may wait for room for its bytes.
    place: Semaphore,
}

impl Capacity {
    /// Creates room for `requests` requests with `bytes` bytes in total.
    pub(crate) fn new(requests: usize, bytes: usize) -> Arc<Self> {
        let most = units(bytes as u64).max(1);
        let free = Arc::new(Semaphore::new(most as usize));
        Arc::new(Self {
            requests,
            running: AtomicUsize::new(0),
            units: free,
            most,
            place: Semaphore::new(1),
        })
    }

    /// Room for one more request, without its bytes.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Arc<Room>> {
        // A room beyond the limit is given back when it is dropped.
        let before = self.running.fetch_add(1, Ordering::AcqRel);
        let room = Room { capacity: Arc::clone(self), bytes: Mutex::default() };
        if before < self.requests {
            return Some(Arc::new(room));
        }
        log::say(|| {
            tracing::warn!(
                concurrency = self.requests,
                "no room for another task: the queue is slowed down"
            )
        });
        None
    }
}

/// How long a request waits for room for its bytes.
pub(super) struct Patience<'a> {
    pub(super) clock: &'a dyn Clock,
    /// Whether the request waits at all. Only a task that was refused before waits: later tasks
    /// would otherwise take its room again and again. Its patience is bounded, so among long
    /// attempts it may be refused each time.
    pub(super) waits: bool,
    pub(super) time: Duration,
}

/// The room that one request takes, given back when the last code of its attempt has ended.
#[derive(Debug)]
pub(super) struct Room {
    capacity: Arc<Capacity>,
    bytes: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Permit for Room {}

impl Room {
    /// Reserves `bytes` more; returns whether there is room. A request larger than the total gets
    /// room once all others have ended.
    pub(super) async fn reserve(&self, bytes: u64, patience: Patience<'_>) -> bool {
        let more = units(bytes).min(self.capacity.most - self.held());
        let free = &self.capacity.units;
        let taken = match Arc::clone(free).try_acquire_many_owned(more) {
            Ok(taken) => Some(taken),
            Err(_) if patience.waits => self.wait(more, patience).await,
            Err(_) => None,
        };
        let Some(taken) = taken else {
            log::say(|| {
                tracing::warn!(
                    bytes,
                    "no room for the bytes of another task: the queue is slowed down"
                )
            });
            return false;
        };
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(held) => held.merge(taken),
            None => *held = Some(taken),
        }
        true
    }

    /// Waits for units, while all later requests are refused. One request at a time: two that hold
    /// bytes and wait for more would wait for each other.
    async fn wait(&self, more: u32, patience: Patience<'_>) -> Option<OwnedSemaphorePermit> {
        let _place = self.capacity.place.try_acquire().ok()?;
        tokio::select! {
            biased;
            taken = Arc::clone(&self.capacity.units).acquire_many_owned(more) => taken.ok(),
            () = patience.clock.sleep(patience.time) => None,
        }
    }

    /// Gives back what `bytes` does not need.
    pub(super) fn shrink_to(&self, bytes: u64) {
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &mut *held {
            drop(held.split(held.num_permits().saturating_sub(units(bytes) as usize)));
        }
    }

    fn held(&self) -> u32 {
        let held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        // Never more than `most`, which has 32 bits.
        held.as_ref()
            .map_or(0, |held| u32::try_from(held.num_permits()).unwrap_or(u32::MAX))
            .min(self.capacity.most)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.capacity.running.fetch_sub(1, Ordering::AcqRel);
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;
    use crate::clock::SystemClock;

    const NEVER: Patience<'static> =
        Patience { clock: &SystemClock, waits: false, time: Duration::ZERO };

    /// The patience of a task that was refused before.
    const LONG: Patience<'static> =
        Patience { clock: &SystemClock, waits: true, time: Duration::from_secs(60) };

    async fn reserve(room: &Room, bytes: u64) -> bool {
        room.reserve(bytes, NEVER).await
    }

    #[test]
    fn one_request_too_many_has_no_room_until_another_ends() {
        let capacity = Capacity::new(2, 1);
        let rooms = [(); 2].map(|()| capacity.enter().unwrap());
        assert!(capacity.enter().is_none() && capacity.enter().is_none());
        drop(rooms);
        assert!(capacity.enter().is_some());
    }

    #[tokio::test]
    async fn what_is_larger_than_all_room_has_it_to_itself() {
        let capacity = Capacity::new(9, 4096);
        let [large, small] = [(); 2].map(|()| capacity.enter().unwrap());
        assert!(reserve(&small, 1).await && !reserve(&large, u64::MAX).await);
        drop(small);
        assert!(
            reserve(&large, 1).await && reserve(&large, u64::MAX).await,
            "its own bytes do not count against it"
        );
        let other = capacity.enter().unwrap();
        assert!(!reserve(&other, 1).await);
        drop(large);
        assert!(reserve(&other, 4096).await);
    }

    #[tokio::test]
    async fn what_was_refused_before_waits_and_what_comes_later_has_no_room() {
        let capacity = Capacity::new(9, 4096);
        let [first, second, third] = [(); 3].map(|()| capacity.enter().unwrap());
        assert!(reserve(&first, 2048).await);
        let waiting = tokio::spawn(async move { second.reserve(u64::MAX, LONG).await });
        while capacity.units.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(!reserve(&third, 1).await, "another request waits for this room");
        assert!(!third.reserve(1, LONG).await, "only one request waits");
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(reserve(&third, 4096).await, "all room is given back");
    }

    #[tokio::test]
    async fn two_that_hold_bytes_do_not_wait_for_each_other() {
        let capacity = Capacity::new(9, 4096);
        let [first, second] = [(); 2].map(|()| capacity.enter().unwrap());
        assert!(reserve(&first, 2048).await && reserve(&second, 2048).await);
        let poll = |waiting: Pin<&mut dyn Future<Output = bool>>| {
            waiting.poll(&mut Context::from_waker(Waker::noop()))
        };
        let mut waiting = pin!(first.reserve(4096, LONG));
        assert_eq!(poll(waiting.as_mut()), Poll::Pending);
        assert_eq!(poll(pin!(second.reserve(4096, LONG))), Poll::Ready(false));
        drop(second);
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(true));
    }

    #[tokio::test]
    async fn who_waits_too_long_gives_back_what_it_had() {
        let capacity = Capacity::new(9, 4096);
        let [first, second] = [(); 2].map(|()| capacity.enter().unwrap());
        assert!(reserve(&first, 2048).await);
        assert!(!second.reserve(4096, Patience { time: Duration::ZERO, ..LONG }).await);
        assert!(reserve(&second, 2048).await);
    }

    proptest! {
        /// Whatever is reserved, given back and ended, in whatever order.
        #[test]
        fn no_more_is_held_than_there_is_unless_one_has_it_all(
            most in 1_u64..64,
            steps in prop::collection::vec((0_usize..4, 0_u64..128, any::<bool>()), 1..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let capacity = Capacity::new(9, (most * UNIT) as usize);
                let mut rooms: [_; 4] = std::array::from_fn(|_| capacity.enter().unwrap());
                for (which, bytes, ends) in steps {
                    if ends {
                        rooms[which] = capacity.enter().unwrap();
                    } else {
                        reserve(&rooms[which], bytes * UNIT).await;
                    }
                    let held: u64 = rooms.iter().map(|room| u64::from(room.held())).sum();
                    assert_eq!(held + capacity.units.available_permits() as u64, most);
                }
            });
        }
    }
}
