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
                bury_in(&**backend, bury).await
            }
            Self::Function(function) => function(letter).await,
            Self::Letters(letters) => letters.keep(letter).await,
            Self::Log => Ok(()),
        }
    }
}

/// Stores a dead letter in a backend, and looks whether it is there.
///
/// A relay that has created the task may not have recorded that yet. Then the task is still stored,
/// burying it does nothing, and the record deletes it: the letter is refused until then, and buried
/// once more if the record comes between burying and looking.
async fn bury_in(backend: &dyn Backend, bury: Bury) -> Result<(), BoxError> {
    let (id, number) = (bury.task.spec.id, bury.number);
    if !backend.capabilities().pull {
        return backend.bury(bury).await.map_err(|error| chain(&error).into());
    }
    for _ in 0..2 {
        backend.bury(bury.clone()).await.map_err(|error| chain(&error))?;
        match backend.get(id).await.map_err(|error| chain(&error))? {
            Some(stored) if stored.goes_on_as(number) => return Err(STILL_RELAYED.into()),
            // The dead letter, or a live task that was replayed, whose dead letter is known.
            Some(_) => return Ok(()),
            None => {}
        }
    }
    Err(NOT_STORED.into())
}

/// The error of a task that is not over yet where its dead letter is to be kept.
const STILL_RELAYED: &str = "the task is still stored there, and the relay has not recorded that \
                             it was created in this queue: its dead letter is stored after that";

/// The error of a dead letter that is deleted as soon as it is stored.
const NOT_STORED: &str = "the dead letter was stored twice, and is not found: see that nothing \
                          deletes the dead letters of its queue";

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
