//! Surrounds an async handler with the client that the handler defers with.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context::Surroundings;
use crate::outcome::Outcome;
use crate::unwind;

/// An async handler that is polled and dropped in its client's surroundings.
pub(super) struct Surrounded<'a> {
    client: &'a dyn Surroundings,
    handler: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
}

impl<'a> Surrounded<'a> {
    pub(super) fn new(
        client: &'a dyn Surroundings,
        handler: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    ) -> Self {
        Self { client, handler: Some(handler) }
    }
}

impl Future for Surrounded<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let (client, mut polled) = (self.client, Poll::Pending);
        client.within(&mut || {
            if let Some(handler) = &mut self.handler {
                polled = handler.as_mut().poll(cx);
            }
            if polled.is_ready() {
                unwind::discard(self.handler.take());
            }
        });
        polled
    }
}

impl Drop for Surrounded<'_> {
    /// A handler that is stopped may panic, which does not change why it was stopped.
    fn drop(&mut self) {
        if self.handler.is_some() {
            // While a thread ends, its thread-local client cannot be set: `within` panics.
            _ = unwind::catch(|| self.client.within(&mut || unwind::discard(self.handler.take())));
            unwind::discard(self.handler.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    thread_local! {
        static IS_WITHIN: Cell<bool> = const { Cell::new(false) };
        static DROPPED_WITHIN: Cell<Option<bool>> = const { Cell::new(None) };
    }

    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Surroundings for Counted {
        fn within(&self, work: &mut dyn FnMut()) {
            self.0.fetch_add(1, Ordering::Relaxed);
            IS_WITHIN.set(true);
            work();
            IS_WITHIN.set(false);
        }
    }

    /// Records where it is dropped, and panics.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            DROPPED_WITHIN.set(Some(IS_WITHIN.get()));
            panic!("a bomb was dropped");
        }
    }

    #[test]
    fn a_handler_is_polled_and_dropped_within_and_may_panic_where_it_is_dropped() {
        let client = Counted::default();
        let handler = async {
            let _bomb = Bomb;
            assert!(IS_WITHIN.get());
            tokio::task::yield_now().await;
            Outcome::Done
        };
        let mut surrounded = Surrounded::new(&client, Box::pin(handler));
        let polled =
            Pin::new(&mut surrounded).poll(&mut Context::from_waker(std::task::Waker::noop()));
        assert!(polled.is_pending() && !IS_WITHIN.get());
        drop(surrounded);
        assert_eq!((DROPPED_WITHIN.get(), client.0.load(Ordering::Relaxed)), (Some(true), 2));
    }

    /// The surroundings of a thread that ends.
    struct Ended;

    impl Surroundings for Ended {
        fn within(&self, _: &mut dyn FnMut()) {
            panic!("the thread's client cannot be set any more");
        }
    }

    #[test]
    fn a_handler_is_dropped_where_nothing_can_be_around_it() {
        let bomb = Bomb;
        let handler = async move {
            let _bomb = bomb;
            std::future::pending().await
        };
        drop(Surrounded::new(&Ended, Box::pin(handler)));
        assert_eq!(DROPPED_WITHIN.get(), Some(false));
    }

    #[test]
    fn a_handler_that_has_ended_is_dropped_at_once_whatever_that_does() {
        let client = Counted::default();
        let bomb = Bomb;
        let handler = std::future::poll_fn(move |_| {
            _ = &bomb;
            Poll::Ready(Outcome::Done)
        });
        let mut surrounded = Surrounded::new(&client, Box::pin(handler));
        let polled =
            Pin::new(&mut surrounded).poll(&mut Context::from_waker(std::task::Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Outcome::Done)) && DROPPED_WITHIN.get() == Some(true));
        drop(surrounded);
        assert_eq!(client.0.load(Ordering::Relaxed), 1);
    }
}
