//! Where tasks go that are not attempted again: the queue forgets them, so they are kept first.

use std::fmt;
use std::sync::Arc;

use crate::backend::{Backend, BoxFuture, Bury, NewTask};
use crate::clock::Clock;
use crate::outcome::{BoxError, chain};
use crate::retention::Retention;
use crate::time::Timestamp;

/// A task that will not be attempted again, as [`dead_letters_to`](crate::PushServiceBuilder::dead_letters_to) hands it
/// over.
///
/// The same task may come more than once (the answer to the queue was lost); its id tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The task, as it was deferred. Where the body was no task at all: its bytes as the payload, with the kind that the
    /// URL names.
    pub task: NewTask,
    /// How many attempts were made, as the queue counts them; 0 if nothing here could run it.
    pub attempts: u32,
    /// When it was deferred or, if that is later, first due; `None` where the body did not tell.
    pub created: Option<Timestamp>,
    /// When it became a dead letter.
    pub died: Timestamp,
    /// Why it is not attempted again: the last error and its sources in one line.
    pub error: String,
    /// Which [copy](super#a-time-that-the-handler-chose) of the task it was; 0 is the task as it was deferred.
    pub number: u32,
}

/// What the user's function is.
pub(crate) type Function = dyn Fn(DeadLetter) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync;

/// What keeps dead letters.
#[derive(Clone)]
pub(crate) enum Sink {
    /// A backend that stores: they can be looked at and replayed there, by its own clock and for as long as its client
    /// states.
    Backend(Arc<dyn Backend>, Arc<dyn Clock>, Retention),
    Function(Arc<Function>),
    /// Nothing: they are only logged, as the user asked for.
    Log,
}

impl Sink {
    /// Keeps a dead letter; the answer comes once it is safe.
    pub(super) async fn keep(&self, letter: DeadLetter) -> Result<(), BoxError> {
        match self {
            Self::Backend(backend, clock, stated) => {
                let DeadLetter { task, attempts, created, error, number, .. } = letter;
                let first_attempt = created.filter(|_| attempts > 0);
                if stated.is_stated() {
                    let raised = backend.raise_retention(task.spec.queue.clone(), *stated).await;
                    raised.map_err(|error| chain(&error))?;
                }
                let bury = Bury { number, ..Bury::new(clock.now(), task, attempts, first_attempt, error) };
                backend.bury(bury).await.map_err(|error| chain(&error).into())
            }
            Self::Function(function) => function(letter).await,
            Self::Log => Ok(()),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(backend, ..) => f.debug_tuple("Backend").field(backend).finish(),
            Self::Function(_) => f.write_str("Function"),
            Self::Log => f.write_str("Log"),
        }
    }
}
