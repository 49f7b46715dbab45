//! Keys of unique tasks: who has one, and what a call does that meets it.

use super::{Store, Stored};
use crate::backend::lifecycle::{self, Holder as Named};
use crate::backend::unique::{Claim, Holder, claim};
use crate::backend::{NewTask, TaskState};
use crate::queue::QueueName;
use crate::task::{TaskId, TaskSpec, UniqueKey};
use crate::time::Timestamp;

impl Store {
    /// Decides what becomes of a task.
    pub(super) fn claim(&self, task: &NewTask, now: Timestamp) -> Claim {
        let Some(key) = place(&task.spec) else { return Claim::UNASKED };
        let holder = match self.keys.get(&key) {
            None => Holder::Nobody,
            Some(Named::Tombstone { of, until }) => Holder::Finished { id: *of, until: *until },
            Some(Named::Task(id)) => self.tasks.get(id).map_or(Holder::Nobody, Stored::holds),
        };
        claim(holder, task.on_conflict, task.schedule, now)
    }

    /// Changes the task that has the key, and gives the key to the new task if that is stored.
    pub(super) fn make_room(&mut self, claim: Claim, task: &NewTask, now: Timestamp) {
        match claim {
            Claim::Leave(..) => return,
            Claim::Reschedule(id, facts) => {
                self.unwait(id);
                _ = self.tasks.get_mut(&id).map(|stored| stored.facts = facts);
                return self.wait(id);
            }
            Claim::Replace { of, .. } => _ = self.remove(of, now),
            Claim::Store { .. } => {}
        }
        if let Some(key) = place(&task.spec) {
            self.keys.insert(key, Named::Task(task.spec.id));
        }
    }

    /// Frees the key of a task that is over, unless another task has it by now.
    pub(super) fn free_key(&mut self, id: TaskId, spec: &TaskSpec, now: Timestamp) {
        let Some(key) = place(spec) else { return };
        if self.keys.get(&key) != Some(&Named::Task(id)) {
            return;
        }
        if spec.unique.is_some_and(|key| key.outlives()) {
            let until = lifecycle::tombstone(Some(&self.config(&spec.queue)), now);
            self.keys.insert(key, Named::Tombstone { of: id, until });
        } else {
            self.keys.remove(&key);
        }
    }
}

impl Stored {
    /// Returns how the task holds its key.
    fn holds(&self) -> Holder {
        let id = self.task.spec.id;
        match self.state() {
            TaskState::Dead => Holder::Dead { id },
            TaskState::Leased => Holder::Running { id },
            TaskState::Scheduled => {
                Holder::Waiting { id, facts: self.facts, is_readable: !self.is_newer() }
            }
        }
    }
}

/// Returns the key of a task in its queue, whether it outlives the task or not.
fn place(spec: &TaskSpec) -> Option<(QueueName, UniqueKey)> {
    let key = spec.unique?;
    Some((spec.queue.clone(), UniqueKey::new(*key.as_bytes(), false)))
}
