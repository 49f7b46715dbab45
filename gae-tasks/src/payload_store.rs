//! The contract of a payload store, which keeps payloads that are too large to be stored with their
//! tasks.
//!
//! A client with a payload store
//! ([`ClientBuilder::payload_store`](crate::ClientBuilder::payload_store)) puts each payload above
//! the inline limit there before it stores the task, and the task contains the key. The payload is
//! loaded for each attempt. It is kept with a dead letter, and deleted with it. Left-over payloads
//! (a process ended in between, an answer was lost) are deleted by
//! [`Client::sweep_payloads`](crate::Client::sweep_payloads).
//!
//! If workers lease tasks, a payload is deleted once the storage has recorded that its task is
//! done. A push queue may deliver a task again after the task is done, so there the successful
//! attempt overwrites the payload with a marker of less than 100 bytes: a repeated delivery finds
//! the marker and runs nothing. A sweep deletes markers 32 days later, when Cloud Tasks has deleted
//! their tasks. A task whose payload is missing becomes a dead letter.
//!
//! The key of a payload is the id of its task with the suffix `.gae-tasks`. Objects under other
//! keys are never deleted: dead letters of a push service, which `push::LetterStore` keeps, have
//! the suffix `.dead.gae-tasks`.
//!
//! Anyone who can write into the store can change the arguments of tasks: protect the store like
//! the queue itself.

#[cfg(feature = "object-store")]
mod object;
mod shelf;
mod store;
mod url;

#[cfg(feature = "object-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "object-store")))]
pub use object::ObjectPayloads;
pub(crate) use shelf::Shelf;
pub use store::{IntoPayloadStore, PayloadStore, Stored};

use crate::attributes::Spilled;
use crate::outcome::BoxError;
use crate::task::TaskId;

/// The suffix of a payload's key after the id of its task: a store may hold other objects whose
/// names are ids too.
const SUFFIX: &str = ".gae-tasks";

/// The key of a task's payload.
pub(crate) fn key(id: TaskId) -> String {
    format!("{id}{SUFFIX}")
}

/// The task whose payload has this key, if the key is valid.
pub(crate) fn task_of(key: &str) -> Option<TaskId> {
    key.strip_suffix(SUFFIX)?.parse().ok().filter(|id| self::key(*id) == key)
}

/// Bytes of an id as text.
const LENGTH_OF_ID: usize = 36;

/// The suffix of a dead letter's key after the id of its task and the number of the copy.
const SUFFIX_OF_LETTERS: &str = ".dead.gae-tasks";

/// The key of the dead letter of a task that ended as the copy `number`; 0 is the task as it was
/// deferred. The number is part of the key because a replayed task can die again before its letter
/// is deleted.
pub(crate) fn key_of_letter(id: TaskId, number: u32) -> String {
    match number {
        0 => format!("{id}{SUFFIX_OF_LETTERS}"),
        _ => format!("{id}-{number}{SUFFIX_OF_LETTERS}"),
    }
}

/// The task whose dead letter has this key, and the number of its copy, if the key is valid.
pub(crate) fn task_of_letter(key: &str) -> Option<(TaskId, u32)> {
    let (id, number) = key.strip_suffix(SUFFIX_OF_LETTERS)?.split_at_checked(LENGTH_OF_ID)?;
    let number = number.strip_prefix('-').map_or(Ok(0), str::parse).ok()?;
    let letter = (id.parse().ok()?, number);
    (key_of_letter(letter.0, letter.1) == key).then_some(letter)
}

/// The marker that replaces the payload under `key` when a pushed task is done. The key
/// distinguishes the marker from every payload that is not about this task.
pub(crate) fn marker(key: &str) -> Vec<u8> {
    format!("gae-tasks: done: {key}\n").into_bytes()
}

/// The content under the key of a payload.
pub(crate) enum Loaded {
    /// The complete payload.
    Payload(Vec<u8>),
    /// The marker: an attempt at the task has succeeded.
    Done,
}

/// Loads the payload of the task `id`, or the marker that replaced it. A payload of more than
/// `most` bytes is not loaded, and no more bytes are read than the task states.
pub(crate) async fn load(
    store: Option<&dyn PayloadStore>,
    spilled: &Spilled,
    id: TaskId,
    most: u64,
) -> Result<Loaded, LoadError> {
    let (key, put_into) = (|| spilled.key.clone(), || spilled.store.clone());
    if spilled.key != self::key(id) {
        return Err(LoadError::Foreign { key: key() });
    }
    let store = store.ok_or_else(|| LoadError::NoStore { put_into: put_into() })?;
    let (marker, is_too_large) = (marker(&spilled.key), spilled.length > most);
    let payload = if is_too_large { 0 } else { spilled.length };
    match store.get_at_most(&spilled.key, payload.max(marker.len() as u64)).await {
        Err(source) => Err(LoadError::Unavailable { store: store.name(), source }),
        Ok(Some(payload)) if spilled.is(&payload) => Ok(Loaded::Payload(payload)),
        Ok(Some(bytes)) if bytes == marker => Ok(Loaded::Done),
        Ok(Some(_)) if is_too_large => Err(LoadError::TooLarge {
            store: store.name(),
            key: key(),
            length: spilled.length,
            most,
        }),
        Ok(Some(_)) => Err(LoadError::Damaged { store: store.name(), key: key() }),
        Ok(None) if store.name() == spilled.store => {
            Err(LoadError::Missing { store: store.name(), key: key() })
        }
        // The payload is not known to be gone: nothing was ever put into this store.
        Ok(None) => Err(LoadError::Elsewhere { store: store.name(), put_into: put_into() }),
    }
}

/// Why the payload of an attempt cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(
        "the payload is in the payload store `{put_into}`, but the client has no payload store: \
         add `.payload_store(..)` to its builder"
    )]
    NoStore { put_into: String },
    #[error("the payload cannot be loaded from the payload store `{store}`")]
    Unavailable { store: String, source: BoxError },
    #[error(
        "the payload was put into the payload store `{put_into}`, but the client's payload store \
         is `{store}`: use the same for both"
    )]
    Elsewhere { store: String, put_into: String },
    #[error(
        "the payload `{key}` in the payload store `{store}` was truncated or changed after it was \
         stored"
    )]
    Damaged { store: String, key: String },
    #[error(
        "the payload `{key}` is missing in the payload store `{store}`: it was deleted by hand, or \
         by a sweep of another program; restore it there and replay the task, or delete the task"
    )]
    Missing { store: String, key: String },
    #[error(
        "the task names the payload `{key}`, which belongs to another task and is neither read nor \
         deleted"
    )]
    Foreign { key: String },
    #[error(
        "the payload `{key}` in the payload store `{store}` has {length} bytes, but at most {most} \
         are loaded: give the push service a higher `.max_stored_payload(..)`, and replay the task"
    )]
    TooLarge { store: String, key: String, length: u64, most: u64 },
}

impl LoadError {
    /// Whether a later attempt has the same error: payloads are put before their tasks are stored.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Foreign { .. } | Self::TooLarge { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_tasks() {
        let id = TaskId::generate();
        assert_eq!(task_of(&key(id)), Some(id));
        for foreign in
            ["", "notes.txt", &key(id).to_uppercase(), &format!("{{{id}}}"), &format!("{id}.tmp")]
        {
            assert_eq!(task_of(foreign), None, "{foreign}");
        }
        let letter = format!("{id}.dead.gae-tasks");
        assert_eq!(
            (task_of_letter(&letter), task_of(&letter), task_of_letter(&key(id))),
            (Some((id, 0)), None, None)
        );
        let letter = format!("{id}-17.dead.gae-tasks");
        assert_eq!(
            (task_of_letter(&letter), task_of(&letter), key_of_letter(id, 17)),
            (Some((id, 17)), None, letter)
        );
        for other in ["-0", "-01", "-+1", "-", "-a", "-1-1", "17", "-4294967296"] {
            assert_eq!(task_of_letter(&format!("{id}{other}.dead.gae-tasks")), None, "{other}");
        }
        assert_eq!(task_of_letter(&format!("{}ä.dead.gae-tasks", "7".repeat(35))), None);
    }
}
