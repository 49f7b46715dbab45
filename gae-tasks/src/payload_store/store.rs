//! The trait of payload stores, and the conversions into one.

use std::fmt;
use std::sync::Arc;

use crate::backend::BoxFuture;
use crate::error::Error;
use crate::outcome::BoxError;
use crate::time::Timestamp;

/// The result of an operation of a payload store.
pub type Stored<'a, T> = BoxFuture<'a, Result<T, BoxError>>;

/// Stores payloads under keys: the id of a task with the suffix `.gae-tasks`. Every key is new, and
/// contains no data of the task.
///
/// `ObjectPayloads` (feature `object-store`) is a payload store for folders, memory and object
/// stores. Others can be implemented:
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
///         let is_old = |put: &Timestamp| *put < moment;
///         let old = shelf.iter().filter(|(_, (_, put))| is_old(put));
///         let old = old.map(|(key, _)| key.clone()).collect();
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
    /// The name of the store, without any secret: used in errors and logs, and to distinguish
    /// stores. Two programs that see the same payloads should use the same name.
    fn name(&self) -> String;

    /// Stores a payload atomically, replacing any payload under this key; once the call has
    /// returned, the payload is as durable as a stored task.
    ///
    /// # Errors
    /// The payload may or may not be stored.
    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()>;

    /// Returns the payload under this key; `None` only if there is certainly none.
    ///
    /// # Errors
    /// The store does not answer: the attempt is repeated later.
    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>>;

    /// Like [`get`](Self::get), for at most `limit` bytes: of a longer payload, returns the first
    /// `limit + 1` bytes, which shows the caller that the payload is longer. A store should read no
    /// more than these bytes if it can; the default implementation reads all.
    ///
    /// # Errors
    /// As for `get`.
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

    /// Returns the keys of all payloads that were put before `moment`.
    ///
    /// # Errors
    /// The store does not answer.
    fn put_before(&self, moment: Timestamp) -> Stored<'_, Vec<String>>;
}

/// A value for [`ClientBuilder::payload_store`](crate::ClientBuilder::payload_store): a
/// [`PayloadStore`], or with the feature `object-store` a URL or an `Arc<dyn ObjectStore>`.
pub trait IntoPayloadStore {
    /// Converts the value into a store.
    ///
    /// # Errors
    /// [`Error::PayloadStoreUrl`] if a URL names no store, [`Error::PayloadStore`] if the store
    /// cannot be opened.
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
