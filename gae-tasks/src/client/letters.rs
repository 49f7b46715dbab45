//! Replays dead letters in a payload store: their tasks are stored again with a client.

use super::Client;
use crate::backend::record::error_text;
use crate::backend::{CopyTask, Enqueue, NewTask};
use crate::envelope::Copied;
use crate::error::Error;
use crate::push::{DeadLetter, LetterStore};
use crate::task::{Shape, TaskId, TaskSpec};
use crate::time::Schedule;

impl LetterStore {
    /// Stores the task of a dead letter again with `client`, due at once and with a full number of
    /// attempts, then deletes the letter. If a replay that was interrupted is repeated, it stores
    /// no second task while the first is waiting. The stored task has no name.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if there is no such letter or its body could not be read,
    /// [`Error::PayloadStore`] and [`Error::Storage`]. The letter is kept then.
    pub async fn replay(&self, id: TaskId, client: &Client) -> Result<(), Error> {
        let missing = Error::NoSuchTask { id, problem: "is not a dead letter in this store" };
        // The letters that are there now: the new task may die before they are deleted.
        let numbers = self.numbers(id).await?;
        let DeadLetter { task, number, .. } = self.last_of(id, &numbers).await?.ok_or(missing)?;
        if task.spec.shape == Shape::UNREADABLE {
            return Err(Error::NoSuchTask { id, problem: error_text::UNREADABLE });
        }
        // The task itself may still block its name.
        let spec = TaskSpec { name: None, ..task.spec };
        let task = NewTask { spec, schedule: Schedule::Now, ..task };
        client.store_anew(task, number).await?;
        self.delete_numbers(id, &numbers).await
    }
}

impl Client {
    /// Stores a task again whose last copy had this number.
    async fn store_anew(&self, task: NewTask, number: u32) -> Result<(), Error> {
        if self.capabilities().pull {
            self.raise_retention([&task.spec.queue]).await?;
            let answers = self.backend().enqueue(Enqueue::new(self.now(), vec![task])).await?;
            return answers.into_iter().try_for_each(|answer| answer.map(drop));
        }
        let copy = CopyTask::new(self.now(), task, Copied::first_number_of_next_life(number));
        self.backend().copy(CopyTask { replayed: Some(self.clock().wall()), ..copy }).await
    }
}
