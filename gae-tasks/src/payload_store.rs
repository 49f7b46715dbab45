//! The contract with a payload store: where payloads go that are too large to travel with their tasks.
//!
//! A client with one ([`ClientBuilder::payload_store`](crate::ClientBuilder::payload_store)) puts each payload above the
//! inline limit there before it stores the task, and the task carries the key. The payload is loaded for each attempt
//! and deleted after the one that succeeds. It stays with a dead letter, and goes with it. What is left over (a process
//! ended in between, an answer was lost) is deleted by [`Client::sweep_payloads`](crate::Client::sweep_payloads).
//!
//! Whoever can write into the store can change what tasks are called with: guard it as the queue itself.

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

/// The key of a task's payload.
pub(crate) fn key(id: TaskId) -> String {
    id.to_string()
}

/// The task whose payload has this key, if it is one of ours.
pub(crate) fn task_of(key: &str) -> Option<TaskId> {
    key.parse().ok().filter(|id: &TaskId| id.to_string() == key)
}

/// The payload of a task, whole; `None` if it is gone from the store that it was put into.
pub(crate) async fn load(store: Option<&dyn PayloadStore>, spilled: &Spilled) -> Result<Option<Vec<u8>>, LoadError> {
    let put_into = || spilled.store.clone();
    let store = store.ok_or_else(|| LoadError::NoStore { put_into: put_into() })?;
    match store.get(&spilled.key).await {
        Err(source) => Err(LoadError::Unavailable { store: store.name(), source }),
        Ok(Some(payload)) if spilled.is(&payload) => Ok(Some(payload)),
        Ok(Some(_)) => Err(LoadError::Damaged { store: store.name(), key: spilled.key.clone() }),
        Ok(None) if store.name() == spilled.store => Ok(None),
        // Not gone, as far as is known: nothing was ever put into this one.
        Ok(None) => Err(LoadError::Elsewhere { store: store.name(), put_into: put_into() }),
    }
}

/// Why an attempt has no payload to begin with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(
        "its payload is in the payload store `{put_into}`, this client has none: add `.payload_store(..)` to its builder"
    )]
    NoStore { put_into: String },
    #[error("its payload cannot be loaded from the payload store `{store}`")]
    Unavailable { store: String, source: BoxError },
    #[error("its payload was put into the payload store `{put_into}`, this client's is `{store}`: give both the same")]
    Elsewhere { store: String, put_into: String },
    #[error("its payload `{key}` in the payload store `{store}` is not what was put there: cut off, or changed")]
    Damaged { store: String, key: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_tasks() {
        let id = TaskId::generate();
        assert_eq!(task_of(&key(id)), Some(id));
        for foreign in ["", "notes.txt", &key(id).to_uppercase(), &format!("{{{id}}}"), &format!("{id}.tmp")] {
            assert_eq!(task_of(foreign), None, "{foreign}");
        }
    }
}
