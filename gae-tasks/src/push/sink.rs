//! The place for dead letters: the queue deletes a task only after its dead letter is stored.

use std::fmt;
use std::sync::Arc;

use super::dead_letter::DeadLetter;
use super::letters::LetterStore;
use crate::backend::{Backend, BoxFuture, Bury};
use crate::clock::Clock;
use crate::outcome::{BoxError, chain};
use crate::retention::Retention;

/// The type of the user's function.
pub(crate) type Function =
    dyn Fn(DeadLetter) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync;

/// The place where dead letters are kept.
#[derive(Clone)]
pub(crate) enum Sink {
    /// A backend that stores dead letters, where they can be listed and replayed: by its own clock,
    /// and for as long as its client states.
    Backend(Arc<dyn Backend>, Arc<dyn Clock>, Retention),
    Function(Arc<Function>),
    /// A payload store.
    Letters(LetterStore),
    /// No place: dead letters are only logged, as the user asked for.
    Log,
}

impl Sink {
    /// Stores a dead letter; returns once it is safe.
    pub(super) async fn keep(&self, letter: DeadLetter) -> Result<(), BoxError> {
        match self {
            Self::Backend(backend, clock, stated) => {
                let DeadLetter { task, attempts, created, error, number, .. } = letter;
                let first_attempt = created.filter(|_| attempts > 0);
                if stated.is_stated() {
                    let raised = backend.raise_retention(task.spec.queue.clone(), *stated).await;
                    raised.map_err(|error| chain(&error))?;
                }
                let bury =
                    Bury { number, ..Bury::new(clock.now(), task, attempts, first_attempt, error) };
                backend.bury(bury).await.map_err(|error| chain(&error).into())
            }
            Self::Function(function) => function(letter).await,
            Self::Letters(letters) => letters.keep(letter).await,
            Self::Log => Ok(()),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(backend, ..) => f.debug_tuple("Backend").field(backend).finish(),
            Self::Function(_) => f.write_str("Function"),
            Self::Letters(letters) => f.debug_tuple("Letters").field(letters).finish(),
            Self::Log => f.write_str("Log"),
        }
    }
}
