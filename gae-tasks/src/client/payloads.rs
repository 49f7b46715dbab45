//! Payloads too large to travel with their tasks: where they go, and from which size on.

use std::sync::Arc;

use super::storage::Storage;
use super::{Client, ClientBuilder};
use crate::backend::NewTask;
use crate::clock::Clock;
use crate::error::Error;
use crate::payload_store::{IntoPayloadStore, PayloadStore, Shelf};

/// Bytes of a payload that travels with its task; what Google tells for a task of Cloud Tasks.
const INLINE: usize = 100 * 1024;

/// Bytes of a payload that goes to a store.
const MOST: usize = 64 * 1024 * 1024;

/// Where payloads go, and from which size on.
#[derive(Debug)]
pub(super) struct PayloadSettings {
    store: Option<Result<Arc<dyn PayloadStore>, Error>>,
    inline: usize,
    most: usize,
}

impl Default for PayloadSettings {
    fn default() -> Self {
        Self { store: None, inline: INLINE, most: MOST }
    }
}

impl PayloadSettings {
    /// What becomes of the settings around `storage`, if a store that was given can be had.
    pub(super) fn open(self, clock: &Arc<dyn Clock>, storage: &mut Storage) -> Result<Payloads, Error> {
        let Self { store, inline, most } = self;
        let Some(store) = store.transpose()? else { return Ok(Payloads::none(storage)) };
        let inline = inline.min(storage.backend().capabilities().max_payload);
        let shelf = Shelf::new(store, Arc::clone(clock));
        storage.spill(&shelf, inline);
        Ok(Payloads { shelf: Some(shelf), inline, most: most.max(inline) })
    }
}

/// Where a client's payloads are, and how large they may be.
#[derive(Debug)]
pub(super) struct Payloads {
    shelf: Option<Shelf>,
    inline: usize,
    most: usize,
}

impl Payloads {
    /// Without a store all travel with their tasks.
    pub(super) fn none(storage: &Storage) -> Self {
        let most = storage.backend().capabilities().max_payload;
        Self { shelf: None, inline: most, most }
    }
}

impl ClientBuilder {
    /// Where payloads go that are larger than the [inline limit](Self::inline_payload): a folder or an object store by
    /// its URL, an `Arc<dyn ObjectStore>` (feature `object-store` for both), or any
    /// [`PayloadStore`](crate::payload_store::PayloadStore). Those who defer and those who run the tasks need the same
    /// one. None by default: such payloads are refused then.
    ///
    /// Each is loaded whole for its attempt. [`Client::sweep_payloads`] deletes what is left over; call it every day or
    /// so.
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

    /// Up to how many bytes a payload travels with its task though there is a payload store; 100 KiB by default, and
    /// never more than the backend takes.
    pub fn inline_payload(mut self, bytes: usize) -> Self {
        self.payloads.inline = bytes;
        self
    }

    /// How many bytes a payload may have that goes to the payload store; 64 MiB by default. Every attempt has its
    /// payload in memory while it is decoded.
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
