//! Cancelling a task that waits: Google tells no handler that it shall end.

use super::limits::NAME;
use super::name::is_unnamed;
use super::read::Found;
use super::shared::Shared;
use crate::backend::{Cancelled, TaskState};
use crate::error::Error;
use crate::task::TaskId;

impl Shared {
    /// Deletes a task that waits, and its copies, which wait too.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if Google has sent the task, or a copy, and has no answer yet.
    pub(super) async fn cancel(&self, id: TaskId) -> Result<Cancelled, Error> {
        let found = self.waiting(id).await?;
        for task in &found {
            if task.state(self).await? == Some(TaskState::Leased) {
                let what = "cancelling a task whose handler runs: wait for its answer, or call \
                            `delete`, after which it is not attempted again";
                return Err(Error::Unsupported { backend: NAME, what });
            }
        }
        let mut is_removed = false;
        for task in found {
            is_removed |= self.delete_task(task.resource).await?;
        }
        Ok(if is_removed { Cancelled::Removed } else { Cancelled::Gone })
    }

    /// Returns the task and its copies, without its dead letter.
    async fn waiting(&self, id: TaskId) -> Result<Vec<Found>, Error> {
        let Some(first) = self.locate(id).await? else { return Ok(Vec::new()) };
        let mut found = if is_unnamed(id) && !first.is_alone(id) {
            let queues = self.queue_names(None).await?;
            self.locate_all(id, queues).await?
        } else {
            vec![first]
        };
        found.retain(|task| !task.is_letter);
        Ok(found)
    }
}
