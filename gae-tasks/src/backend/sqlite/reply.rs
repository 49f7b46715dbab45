//! The way of an answer back to its caller. A caller that is answered alone is woken a moment
//! before, because waking a thread takes longer than what is left to do for the answer.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// The longest time for which a caller that was woken stays awake for its answer. The answer has
/// usually come by the time at which the caller runs.
const SOON: Duration = Duration::from_micros(20);

/// The stages of an answer.
const PENDING: u8 = 0;
const ANNOUNCED: u8 = 1;
const OVER: u8 = 2;

/// Creates both ends of the way.
pub(super) fn channel<T>() -> (Reply<T>, Answered<T>) {
    let slot = Slot { answer: None, waker: None };
    let shared = Arc::new(Shared { stage: AtomicU8::new(PENDING), slot: Mutex::new(slot) });
    (Reply(Arc::clone(&shared)), Answered(shared))
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Reply<T>(Arc<Shared<T>>);

/// The caller's end: becomes ready with the answer, or with `None` if there will be none.
#[derive(Debug)]
pub(super) struct Answered<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    /// Changed only with the lock of the slot.
    stage: AtomicU8,
    slot: Mutex<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    answer: Option<T>,
    waker: Option<Waker>,
}

impl<T> Reply<T> {
    /// Wakes the caller, for whom the answer follows within microseconds. The answer itself wakes
    /// nobody then, unless the caller has fallen asleep again.
    pub(super) fn announce(&self) {
        self.0.advance(ANNOUNCED, None);
    }

    pub(super) fn send(self, answer: T) {
        self.0.advance(OVER, Some(answer));
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if self.0.stage() != OVER {
            self.0.advance(OVER, None);
        }
    }
}

impl<T> Future for Answered<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let shared = &*self.0;
        shared.stay_awake();
        let mut slot = shared.lock();
        if shared.stage() == OVER {
            return Poll::Ready(slot.answer.take());
        }
        // The caller stays awake once for each announcement.
        shared.stage.store(PENDING, Ordering::Relaxed);
        match &mut slot.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T> Shared<T> {
    fn advance(&self, stage: u8, answer: Option<T>) {
        let mut slot = self.lock();
        slot.answer = answer;
        self.stage.store(stage, Ordering::Release);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for an answer that is announced, for at most [`SOON`].
    fn stay_awake(&self) {
        if self.stage() != ANNOUNCED {
            return;
        }
        let begun = Instant::now();
        while self.stage() == ANNOUNCED && begun.elapsed() < SOON {
            thread::yield_now();
        }
    }

    fn stage(&self) -> u8 {
        self.stage.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Wakes {
        fn poll(self: &Arc<Self>, answered: &mut Answered<u8>) -> Poll<Option<u8>> {
            Pin::new(answered).poll(&mut Context::from_waker(&Arc::clone(self).into()))
        }

        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn an_answer_wakes_its_caller() {
        let (wakes, (reply, mut answered)) = (Arc::<Wakes>::default(), channel());
        assert!(wakes.poll(&mut answered).is_pending());
        reply.send(7);
        assert_eq!((wakes.count(), wakes.poll(&mut answered)), (1, Poll::Ready(Some(7))));
    }

    #[test]
    fn a_caller_that_gets_no_answer_is_woken_too() {
        let (wakes, (reply, mut answered)) = (Arc::<Wakes>::default(), channel());
        assert!(wakes.poll(&mut answered).is_pending());
        drop(reply);
        assert_eq!((wakes.count(), wakes.poll(&mut answered)), (1, Poll::Ready(None)));
    }

    #[test]
    fn an_announced_answer_wakes_its_caller_once() {
        let (wakes, (reply, mut answered)) = (Arc::<Wakes>::default(), channel());
        assert!(wakes.poll(&mut answered).is_pending());
        reply.announce();
        assert_eq!(wakes.count(), 1);
        reply.send(7);
        assert_eq!((wakes.count(), wakes.poll(&mut answered)), (1, Poll::Ready(Some(7))));
    }

    #[test]
    fn a_caller_that_waits_in_vain_for_an_announced_answer_is_woken_again() {
        let (wakes, (reply, mut answered)) = (Arc::<Wakes>::default(), channel());
        assert!(wakes.poll(&mut answered).is_pending());
        reply.announce();
        let begun = Instant::now();
        assert!(wakes.poll(&mut answered).is_pending());
        assert!(begun.elapsed() >= SOON, "the caller stayed awake");
        assert_eq!(answered.0.stage(), PENDING, "once");
        reply.send(7);
        assert_eq!((wakes.count(), wakes.poll(&mut answered)), (2, Poll::Ready(Some(7))));
    }
}
