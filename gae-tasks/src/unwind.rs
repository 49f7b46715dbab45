//! Catches panics of foreign code (handlers, errors, log writers) before they end a worker or a
//! service.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Calls `work`.
///
/// # Errors
/// If `work` panicked: the text of the panic.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(text)
}

/// Waits for `work`; if `work` panics, drops what is left of it. `work` is borrowed: a future that
/// is moved is stored twice.
///
/// # Errors
/// If `work` panicked: the text of the panic.
pub(crate) async fn caught<F: Future>(mut work: Pin<&mut Option<F>>) -> Result<F::Output, String> {
    std::future::poll_fn(|cx| {
        let polled = match work.as_mut().as_pin_mut() {
            Some(running) => catch(|| running.poll(cx)),
            None => Err("it has panicked before".to_owned()),
        };
        polled.map_or_else(
            |panic| {
                // The rest of `work` may panic again when it is dropped.
                _ = catch(|| work.set(None));
                Poll::Ready(Err(panic))
            },
            |polled| polled.map(Ok),
        )
    })
    .await
}

/// Drops a value, whether or not that panics.
pub(crate) fn discard<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        forget(panic);
    }
}

/// The message of a panic.
pub(crate) fn text(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("with a value that is not text").to_owned();
    discard(panic);
    text
}

/// Drops the payload of a panic in a drop if the payload is text. Any other payload is leaked: its
/// own drop may panic again, without end.
fn forget(panic: Box<dyn Any + Send>) {
    if !panic.is::<&str>() && !panic.is::<String>() {
        mem::forget(panic);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;
    use std::pin::pin;

    use super::*;

    /// Panics with another bomb when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Bomb);
        }
    }

    #[test]
    fn a_panic_is_told_as_its_text() {
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(catch(|| -> u8 { panic!("a {}", "string") }), Err("a string".to_owned()));
        assert_eq!(catch(|| -> u8 { panic!("a literal") }), Err("a literal".to_owned()));
        assert_eq!(
            catch(|| -> u8 { panic_any(1) }),
            Err("with a value that is not text".to_owned())
        );
    }

    #[test]
    fn a_value_that_panics_without_end_is_dropped() {
        discard(Bomb);
        assert!(catch(|| panic_any(Bomb)).is_err());
    }

    /// Panics when it is polled, and again when it is dropped.
    struct Broken {
        _bomb: Option<Bomb>,
    }

    impl Future for Broken {
        type Output = u8;

        fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<u8> {
            panic!("in its poll");
        }
    }

    #[test]
    fn a_future_that_panics_is_dropped_whether_or_not_that_panics() {
        for _bomb in [None, Some(Bomb)] {
            assert_eq!(
                pollster::block_on(caught(pin!(Some(Broken { _bomb })))),
                Err("in its poll".to_owned())
            );
        }
    }

    #[test]
    fn a_future_that_is_ready_gives_what_it_has() {
        assert_eq!(pollster::block_on(caught(pin!(Some(async { 1 })))), Ok(1));
    }
}
