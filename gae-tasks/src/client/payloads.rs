//! Payloads that are too large to be stored with their tasks: their store, and the limits.

use super::{Client, ClientBuilder};
use crate::backend::NewTask;
use crate::backend::accept::Sizes;
use crate::payload_store::{IntoPayloadStore, Shelf};
use crate::spilling::inline_for;

impl ClientBuilder {
    /// Sets the store for payloads that are larger than the [inline limit](Self::inline_payload): a
    /// folder or an object store by its URL, an `Arc<dyn ObjectStore>` (feature `object-store` for
    /// both), or any [`PayloadStore`](crate::payload_store::PayloadStore). Clients that defer tasks
    /// and clients that run them need the same store. There is none by default: larger payloads are
    /// refused then.
    ///
    /// Each payload is loaded completely for its attempt. [`Client::sweep_payloads`] deletes
    /// left-over payloads; call it about once a day.
    ///
    /// | URL | store |
    /// |---|---|
    /// | `file:///FOLDER` | a folder, made if missing |
    /// | `gs://BUCKET/PREFIX` | Google Cloud Storage (feature `gcs`), with the credentials of the environment |
    /// | `memory:` | a new, empty store in this process |
    ///
    /// If the store cannot be opened, `open` and `build` return an error.
    pub fn payload_store(mut self, store: impl IntoPayloadStore) -> Self {
        self.payloads.store = Some(store.into_payload_store());
        self
    }

    /// Sets the most bytes of a payload that is stored with its task although there is a payload
    /// store; 100 KiB by default, and never more than the backend accepts, beside the task's schema
    /// where schemas travel with tasks (Cloud Tasks).
    pub fn inline_payload(mut self, bytes: usize) -> Self {
        self.payloads.inline = bytes;
        self
    }

    /// Sets the most bytes of a payload in the payload store; 64 MiB by default. Every attempt
    /// holds its payload in memory while it is decoded.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.payloads.most = bytes;
        self
    }
}

impl Client {
    /// The size of the largest payload that can be deferred, in bytes.
    #[cfg(feature = "push")]
    pub(crate) fn max_payload(&self) -> usize {
        self.0.payloads.most
    }

    /// The sizes of payloads that can be deferred.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes { payload: self.0.payloads.most, has_store: self.shelf().is_some() }
    }

    /// Whether the payload of a task is stored in a payload store.
    pub(crate) fn spills(&self, task: &NewTask) -> bool {
        task.payload.len() > inline_for(task, self.0.payloads.inline, self.capabilities())
    }

    pub(super) fn shelf(&self) -> Option<&Shelf> {
        self.0.payloads.shelf.as_ref()
    }
}
