//! Replays dead letters in a payload store: their tasks are stored again with a client.

use super::Client;
use crate::backend::record::error_text;
use crate::backend::{Bury, CopyTask, NewTask, TaskRequest};
use crate::envelope::Copied;
use crate::error::Error;
use crate::push::{DeadLetter, LetterStore};
use crate::task::{Shape, TaskId, TaskSpec};
use crate::time::Schedule;

impl LetterStore {
    /// Stores the task of a dead letter again with `client`, due at once and with a full number of
    /// attempts, then deletes the letter. If a replay that was interrupted is repeated, it stores
    /// no second task while the first is waiting. The stored task has no name. Where workers lease
    /// tasks it has the error of the letter.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if there is no such letter, its body could not be read, or the
    /// [relay](crate::Relay) that the task came by has not recorded yet that it created the task;
    /// [`Error::PayloadStore`] and [`Error::Storage`]. The letter is kept then.
    pub async fn replay(&self, id: TaskId, client: &Client) -> Result<(), Error> {
        let missing = Error::NoSuchTask { id, problem: "is not a dead letter in this store" };
        // The letters that are there now: the new task may die before they are deleted.
        let numbers = self.numbers(id).await?;
        let letter = self.last_of(id, &numbers).await?.ok_or(missing)?;
        if letter.task.spec.shape == Shape::UNREADABLE {
            return Err(Error::NoSuchTask { id, problem: error_text::UNREADABLE });
        }
        // The task itself may still block its name.
        let spec = TaskSpec { name: None, ..letter.task.spec };
        let task = NewTask { spec, schedule: Schedule::Now, ..letter.task };
        client.store_anew(DeadLetter { task, ..letter }).await?;
        self.delete_numbers(id, &numbers).await
    }
}

impl Client {
    /// Stores the task of a dead letter again.
    async fn store_anew(&self, letter: DeadLetter) -> Result<(), Error> {
        if self.capabilities().pull {
            return self.bury_and_replay(letter).await;
        }
        let number = Copied::first_number_of_next_life(letter.number);
        let copy = CopyTask::new(self.now(), letter.task, number);
        self.backend().copy(CopyTask { replayed: Some(self.clock().wall()), ..copy }).await
    }

    /// Stores the dead letter here, and replays it. From the error of the letter a relay knows that
    /// the names of the task are blocked where it died.
    async fn bury_and_replay(&self, letter: DeadLetter) -> Result<(), Error> {
        let DeadLetter { task, attempts, created, error, number, .. } = letter;
        let id = task.spec.id;
        if let Some(stored) = self.backend().get(id).await?
            && stored.died.is_none()
        {
            // A live task was replayed, unless the letter is of what the relay has made of it.
            return match stored.goes_on_as(number) {
                true => Err(Error::NoSuchTask { id, problem: STILL_RELAYED }),
                false => Ok(()),
            };
        }
        self.raise_retention([&task.spec.queue]).await?;
        let first_attempt = created.filter(|_| attempts > 0);
        let bury = Bury::new(self.now(), task, attempts, first_attempt, error);
        self.backend().bury(Bury { number, ..bury }).await?;
        self.backend().replay(TaskRequest::new(self.now(), id)).await
    }
}

/// The problem of a dead letter whose task its relay would delete.
const STILL_RELAYED: &str = "is still stored, as its relay has not recorded yet that it created \
                             the task: replay the letter again after that";
