//! Payloads too large to travel with their tasks: where they go, and from which size on.

use super::{Client, ClientBuilder};
use crate::backend::NewTask;
use crate::payload_store::{IntoPayloadStore, Shelf};

impl ClientBuilder {
    /// Where payloads go that are larger than the [inline limit](Self::inline_payload): a folder or
    /// an object store by its URL, an `Arc<dyn ObjectStore>` (feature `object-store` for both), or
    /// any [`PayloadStore`](crate::payload_store::PayloadStore). Those who defer and those who run
    /// the tasks need the same one. None by default: such payloads are refused then.
    ///
    /// Each is loaded whole for its attempt. [`Client::sweep_payloads`] deletes what is left over;
    /// call it every day or so.
    ///
    /// | URL | what it is |
    /// |---|---|
    /// | `file:///FOLDER` | a folder, made if missing |
    /// | `gs://BUCKET/PREFIX` | Google Cloud Storage (feature `gcs`), with the credentials of the environment |
    /// | `memory:` | a new, empty store in this process |
    ///
    /// If it cannot be had, `open` and `build` say so.
    pub fn payload_store(mut self, store: impl IntoPayloadStore) -> Self {
        self.payloads.store = Some(store.into_payload_store());
        self
    }

    /// Up to how many bytes a payload travels with its task though there is a payload store; 100
    /// KiB by default, and never more than the backend takes.
    pub fn inline_payload(mut self, bytes: usize) -> Self {
        self.payloads.inline = bytes;
        self
    }

    /// How many bytes a payload may have that goes to the payload store; 64 MiB by default. Every
    /// attempt has its payload in memory while it is decoded.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.payloads.most = bytes;
        self
    }
}

impl Client {
    /// Bytes of the largest payload that can be deferred.
    pub(crate) fn max_payload(&self) -> usize {
        self.0.payloads.most
    }

    /// Whether the payload of a task is put into a payload store.
    pub(crate) fn spills(&self, task: &NewTask) -> bool {
        task.payload.len() > self.0.payloads.inline
    }

    pub(super) fn shelf(&self) -> Option<&Shelf> {
        self.0.payloads.shelf.as_ref()
    }
}
