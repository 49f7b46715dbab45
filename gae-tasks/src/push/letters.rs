//! Dead letters in a payload store: a bucket outlives the instance that wrote them, and keeps them
//! until they are deleted.

use std::sync::Arc;

use super::dead_letter::DeadLetter;
use crate::backend::NewTask;
use crate::envelope::Envelope;
use crate::envelope::letter::Letter;
use crate::error::Error;
use crate::outcome::BoxError;
use crate::payload_store::{IntoPayloadStore, PayloadStore, key_of_letter, task_of_letter};
use crate::task::TaskId;
use crate::time::Timestamp;

/// Dead letters in a payload store, such as a bucket, for
/// [`dead_letters_in`](crate::PushServiceBuilder::dead_letters_in). Clones are the same store.
///
/// Each dead letter is an object named after the id of its task and the number of the task's copy,
/// with the suffix `.dead.gae-tasks`. It is kept until it is replayed or deleted; nothing else
/// deletes it. A task can have several letters, if it died again while its letter was replayed, or
/// if the queue delivered it twice; they count as one here. The store may also hold the payloads: a
/// sweep of payloads keeps those that a dead letter needs.
///
/// ```
/// # #[cfg(feature = "object-store")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::push::LetterStore;
///
/// // In production `gs://BUCKET/PREFIX` (feature `gcs`).
/// let letters = LetterStore::open("memory:")?;
/// // tasks.push_service().dead_letters_in(&letters)..
/// assert!(letters.ids().await?.is_empty());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "object-store"))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone)]
pub struct LetterStore {
    store: Arc<dyn PayloadStore>,
}

impl LetterStore {
    /// Opens the dead letters in this store.
    ///
    /// # Errors
    /// [`Error::PayloadStoreUrl`] if a URL names no store, [`Error::PayloadStore`] if the store
    /// cannot be opened.
    pub fn open(store: impl IntoPayloadStore) -> Result<Self, Error> {
        Ok(Self { store: store.into_payload_store()? })
    }

    /// Returns the tasks of all dead letters, in the order in which they were deferred.
    ///
    /// # Errors
    /// [`Error::PayloadStore`] if the store does not answer; so for all methods below.
    pub async fn ids(&self) -> Result<Vec<TaskId>, Error> {
        let mut ids: Vec<_> = self.letters().await?.into_iter().map(|(id, _)| id).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Returns the dead letter of this task, the last one if there are several. Lists all keys of
    /// the store.
    ///
    /// # Errors
    /// [`Error::PayloadStore`], also if a newer version of this crate wrote the letter or the
    /// letter is damaged.
    pub async fn get(&self, id: TaskId) -> Result<Option<DeadLetter>, Error> {
        let numbers = self.numbers(id).await?;
        self.last_of(id, &numbers).await
    }

    /// Deletes the dead letter of this task, if there is one. A payload that is too large for the
    /// letter is left to [`sweep_payloads`](crate::Client::sweep_payloads).
    ///
    /// # Errors
    /// [`Error::PayloadStore`].
    pub async fn delete(&self, id: TaskId) -> Result<(), Error> {
        let numbers = self.numbers(id).await?;
        self.delete_numbers(id, &numbers).await
    }

    /// The numbers of the copies as which this task became dead letters.
    pub(crate) async fn numbers(&self, id: TaskId) -> Result<Vec<u32>, Error> {
        let letters = self.letters().await?.into_iter();
        Ok(letters.filter(|(task, _)| *task == id).map(|(_, number)| number).collect())
    }

    /// The dead letter of this task with the highest of these numbers.
    pub(crate) async fn last_of(
        &self,
        id: TaskId,
        numbers: &[u32],
    ) -> Result<Option<DeadLetter>, Error> {
        let Some(number) = numbers.iter().copied().max() else { return Ok(None) };
        let key = key_of_letter(id, number);
        let bytes = self.store.get(&key).await.map_err(|error| self.failed("read", error))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let letter = Letter::decode(&bytes).map_err(|error| self.failed("open", error.into()))?;
        Ok(Some(opened(letter)))
    }

    pub(crate) async fn delete_numbers(&self, id: TaskId, numbers: &[u32]) -> Result<(), Error> {
        for number in numbers {
            let deleted = self.store.delete(&key_of_letter(id, *number)).await;
            deleted.map_err(|error| self.failed("delete", error))?;
        }
        Ok(())
    }

    async fn letters(&self) -> Result<Vec<(TaskId, u32)>, Error> {
        let keys = self.store.put_before(Timestamp::MAX).await;
        let keys = keys.map_err(|error| self.failed("list", error))?;
        Ok(keys.iter().filter_map(|key| task_of_letter(key)).collect())
    }

    pub(super) async fn keep(&self, letter: DeadLetter) -> Result<(), BoxError> {
        let key = key_of_letter(letter.task.spec.id, letter.number);
        self.store.put(&key, closed(letter).encode()).await
    }

    fn failed(&self, verb: &str, source: BoxError) -> Error {
        let problem = format!("cannot {verb} dead letters");
        Error::PayloadStore { store: self.store.name(), problem, source }
    }
}

fn closed(letter: DeadLetter) -> Letter {
    let DeadLetter {
        task: NewTask { spec, payload, schema, sensitive, .. },
        attempts,
        created,
        died,
        error,
        number,
    } = letter;
    let first_due = created.unwrap_or(died);
    let (named, copied) = (false, None);
    let envelope = Envelope { spec, named, first_due, copied, payload, schema, sensitive };
    let first_attempt = created.filter(|_| attempts > 0);
    Letter { envelope, attempts, first_attempt, died, error }.of_copy(number)
}

fn opened(letter: Letter) -> DeadLetter {
    let number = letter.number();
    let Letter {
        envelope: Envelope { spec, first_due, payload, schema, sensitive, .. },
        attempts,
        died,
        error,
        ..
    } = letter;
    DeadLetter {
        task: NewTask { sensitive, ..NewTask::new(spec, payload, schema) },
        attempts,
        created: Some(first_due),
        died,
        error,
        number,
    }
}
