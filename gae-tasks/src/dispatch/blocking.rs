//! Runs a plain function on a thread of its own. It cannot be stopped, so its end is awaited.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tracing::Span;

use super::{Dispatcher, Permit, panicked};
use crate::context::TaskContext;
use crate::log;
use crate::outcome::Outcome;
use crate::unwind;

impl Dispatcher {
    /// Runs a plain function. The function cannot be stopped, so its end is awaited, however late.
    pub(super) async fn run_blocking(
        &self,
        handler: Box<dyn FnOnce() -> Outcome + Send>,
        context: &TaskContext,
        left: Duration,
        permit: Option<Arc<dyn Permit>>,
    ) -> Outcome {
        let span = log::Scope::new(Span::current);
        let (client, attempt) = (Arc::clone(&self.client), context.clone());
        let mut thread = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            // The attempt was cancelled before a thread was free. It counts as none: the task is
            // retried, or ends if the task itself was cancelled.
            if attempt.is_cancelled() {
                unwind::discard(handler);
                return Outcome::Released;
            }
            let (mut handler, mut outcome) = (Some(handler), Outcome::Released);
            let mut call = || {
                if let Some(handler) = handler.take() {
                    outcome = unwind::catch(handler).unwrap_or_else(panicked);
                }
            };
            span.within(|| attempt.around_call(|| client.within(&mut call)));
            outcome
        });
        let in_time = tokio::select! {
            biased;
            outcome = &mut thread => Some(outcome),
            () = self.clock.sleep(left) => None,
        };
        let ended = match in_time {
            Some(ended) => ended,
            None => {
                context.cancel();
                log::say(|| {
                    tracing::warn!(
                        deadline = ?context.deadline(),
                        "the deadline is missed; a plain function cannot be stopped and goes on \
                         until it returns"
                    );
                });
                thread.await
            }
        };
        ended.unwrap_or_else(|error| match JoinError::try_into_panic(error) {
            Ok(panic) => panicked(unwind::text(panic)),
            // The runtime shuts down before the function has begun.
            Err(_) => Outcome::Released,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULT_DEADLINE;
    use super::*;
    use crate::clock::SystemClock;
    use crate::context::{AttemptInfo, Surroundings};
    use crate::queue::QueueName;
    use crate::task::{Kind, TaskId};

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a bomb was dropped");
        }
    }

    fn context() -> TaskContext {
        TaskContext::new(AttemptInfo {
            id: TaskId::from_bytes([1; 16]),
            kind: Kind::from_static("test/task"),
            queue: QueueName::DEFAULT,
            name: None,
            attempt: 1,
            schedule_time: None,
            deadline: DEFAULT_DEADLINE,
            traceparent: None,
        })
    }

    impl Permit for Bomb {}

    /// No surroundings for handlers.
    struct Bare;

    impl Surroundings for Bare {
        fn within(&self, work: &mut dyn FnMut()) {
            work();
        }
    }

    /// The outcome of a plain function that holds a bomb.
    async fn ended(
        context: &TaskContext,
        permit: Option<Arc<dyn Permit>>,
        bomb: Option<Bomb>,
    ) -> Outcome {
        let dispatcher =
            Dispatcher::new(Arc::default(), Arc::new(SystemClock), Arc::new(Bare), None);
        let handler = Box::new(move || {
            std::mem::forget(bomb);
            Outcome::Done
        });
        dispatcher.run_blocking(handler, context, DEFAULT_DEADLINE, permit).await
    }

    #[tokio::test]
    async fn a_cancelled_function_burns_no_attempt_though_its_args_panic_when_they_are_dropped() {
        let context = context();
        context.cancel();
        assert!(matches!(ended(&context, None, Some(Bomb)).await, Outcome::Released));
        assert!(matches!(ended(&self::context(), None, Some(Bomb)).await, Outcome::Done));
    }

    #[tokio::test]
    async fn a_thread_that_panics_beside_its_function_counts_as_a_failure() {
        let outcome = ended(&context(), Some(Arc::new(Bomb)), None).await;
        let Outcome::Retry(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.to_string(), "the handler panicked: a bomb was dropped");
    }
}
