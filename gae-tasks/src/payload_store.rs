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

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "object-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "object-store")))]
pub use object::ObjectPayloads;
pub(crate) use shelf::Shelf;

use crate::attributes::Spilled;
use crate::backend::BoxFuture;
use crate::error::Error;
use crate::outcome::BoxError;
use crate::task::TaskId;
use crate::time::Timestamp;

/// What an operation of a payload store gives.
pub type Stored<'a, T> = BoxFuture<'a, Result<T, BoxError>>;

/// Keeps payloads under keys: task ids, so that each is new and tells nothing.
///
/// `ObjectPayloads` (feature `object-store`) is one for folders, memory and object stores; others can be written:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use std::time::SystemTime;
///
/// use gae_tasks::payload_store::{PayloadStore, Stored};
/// use gae_tasks::{Client, Timestamp};
///
/// #[derive(Debug, Default)]
/// struct Shelf(Mutex<HashMap<String, (Vec<u8>, Timestamp)>>);
///
/// impl PayloadStore for Shelf {
///     fn name(&self) -> String {
///         "shelf".to_owned()
///     }
///
///     fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()> {
///         self.0.lock().unwrap().insert(key.to_owned(), (payload, SystemTime::now().into()));
///         Box::pin(async { Ok(()) })
///     }
///
///     fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
///         let found = self.0.lock().unwrap().get(key).map(|(payload, _)| payload.clone());
///         Box::pin(async { Ok(found) })
///     }
///
///     fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
///         self.0.lock().unwrap().remove(key);
///         Box::pin(async { Ok(()) })
///     }
///
///     fn put_before(&self, moment: Timestamp) -> Stored<'_, Vec<String>> {
///         let shelf = self.0.lock().unwrap();
///         let old = shelf.iter().filter(|(_, (_, put))| *put < moment).map(|(key, _)| key.clone()).collect();
///         Box::pin(async { Ok(old) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// let tasks = Client::builder().payload_store(Shelf::default()).open("memory:").await?;
/// # Ok(())
/// # }
/// ```
pub trait PayloadStore: fmt::Debug + Send + Sync + 'static {
    /// The place, without any secret: for errors and logs, and to tell this store from another. Two programs that see
    /// the same payloads should give it the same name.
    fn name(&self) -> String;

    /// Keeps a payload; once this has answered, it survives what a stored task survives.
    ///
    /// # Errors
    /// It may or may not be kept.
    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()>;

    /// The payload under this key; `None` only if there is certainly none.
    ///
    /// # Errors
    /// The store does not answer: the attempt is made again later.
    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>>;

    /// Deletes the payload under this key, if there is one.
    ///
    /// # Errors
    /// The store does not answer.
    fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()>;

    /// The keys of all payloads that were put before `moment`.
    ///
    /// # Errors
    /// The store does not answer.
    fn put_before(&self, moment: Timestamp) -> Stored<'_, Vec<String>>;
}

/// What [`ClientBuilder::payload_store`](crate::ClientBuilder::payload_store) takes: a [`PayloadStore`], or with the
/// feature `object-store` a URL or an `Arc<dyn ObjectStore>`.
pub trait IntoPayloadStore {
    /// The store.
    ///
    /// # Errors
    /// [`Error::PayloadStoreUrl`] if a URL names none, [`Error::PayloadStore`] if it cannot be opened.
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error>;
}

impl<S: PayloadStore> IntoPayloadStore for S {
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error> {
        Ok(Arc::new(self))
    }
}

impl IntoPayloadStore for Arc<dyn PayloadStore> {
    fn into_payload_store(self) -> Result<Self, Error> {
        Ok(self)
    }
}

impl IntoPayloadStore for &str {
    #[cfg(feature = "object-store")]
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error> {
        ObjectPayloads::open(self)?.into_payload_store()
    }

    #[cfg(not(feature = "object-store"))]
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error> {
        let problem = "needs the feature `object-store` of gae-tasks, which is off in this build".to_owned();
        Err(Error::PayloadStoreUrl { url: self.to_owned(), problem })
    }
}

impl IntoPayloadStore for String {
    fn into_payload_store(self) -> Result<Arc<dyn PayloadStore>, Error> {
        self.as_str().into_payload_store()
    }
}

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
