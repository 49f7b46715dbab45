//! What a payload store is, and what can be made one.

use std::fmt;
use std::sync::Arc;

use crate::backend::BoxFuture;
use crate::error::Error;
use crate::outcome::BoxError;
use crate::time::Timestamp;

/// What an operation of a payload store gives.
pub type Stored<'a, T> = BoxFuture<'a, Result<T, BoxError>>;

/// Keeps payloads under keys: the id of a task and the suffix `.gae-tasks`, so that each is new and
/// holds no data of the task.
///
/// `ObjectPayloads` (feature `object-store`) is one for folders, memory and object stores; others
/// can be written:
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
    /// The place, without any secret: for errors and logs, and to tell this store from another. Two
    /// programs that see the same payloads should give it the same name.
    fn name(&self) -> String;

    /// Keeps a payload, in place of what is under this key, whole or not at all; once this has
    /// answered, it survives what a stored task survives.
    ///
    /// # Errors
    /// It may or may not be kept.
    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()>;

    /// The payload under this key; `None` only if there is certainly none.
    ///
    /// # Errors
    /// The store does not answer: the attempt is made again later.
    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>>;

    /// As [`get`](Self::get), of at most `limit` bytes: of a longer payload the answer is its first
    /// `limit + 1` bytes, by which the caller sees that it is longer. A store that can should not
    /// read more of it; this one reads all.
    ///
    /// # Errors
    /// As `get`.
    fn get_at_most<'a>(&'a self, key: &'a str, limit: u64) -> Stored<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let mut found = self.get(key).await?;
            if let Some(payload) = &mut found {
                payload.truncate(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1));
            }
            Ok(found)
        })
    }

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

/// What [`ClientBuilder::payload_store`](crate::ClientBuilder::payload_store) takes: a
/// [`PayloadStore`], or with the feature `object-store` a URL or an `Arc<dyn ObjectStore>`.
pub trait IntoPayloadStore {
    /// The store.
    ///
    /// # Errors
    /// [`Error::PayloadStoreUrl`] if a URL names none, [`Error::PayloadStore`] if it cannot be
    /// opened.
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
