//! The limits above which payloads are stored in a payload store, and that store.

use std::sync::Arc;

use super::storage::Storage;
use crate::clock::Clock;
use crate::error::Error;
use crate::payload_store::{PayloadStore, Shelf};

/// The largest payload that is stored with its task, in bytes: what Google states for a task of
/// Cloud Tasks.
const INLINE: usize = 100 * 1024;

/// The largest payload in a payload store, in bytes.
const MOST: usize = 64 * 1024 * 1024;

/// The store for large payloads, and the limits.
#[derive(Debug)]
pub(super) struct PayloadSettings {
    pub(super) store: Option<Result<Arc<dyn PayloadStore>, Error>>,
    pub(super) inline: usize,
    pub(super) most: usize,
}

impl Default for PayloadSettings {
    fn default() -> Self {
        Self { store: None, inline: INLINE, most: MOST }
    }
}

impl PayloadSettings {
    /// Resolves the settings for `storage`, and opens the store, if there is one.
    pub(super) fn open(
        self,
        clock: &Arc<dyn Clock>,
        storage: &mut Storage,
    ) -> Result<Payloads, Error> {
        let Self { store, inline, most } = self;
        let Some(store) = store.transpose()? else { return Ok(Payloads::none(storage)) };
        let inline = inline.min(storage.backend().capabilities().max_payload);
        let shelf = Shelf::new(store, Arc::clone(clock));
        storage.spill(&shelf, inline);
        Ok(Payloads { shelf: Some(shelf), inline, most: most.max(inline) })
    }
}

/// The opened store of a client, and the limits of its payloads.
#[derive(Debug)]
pub(super) struct Payloads {
    pub(super) shelf: Option<Shelf>,
    pub(super) inline: usize,
    pub(super) most: usize,
}

impl Payloads {
    /// The limits of a client without a payload store: all payloads are stored with their tasks.
    pub(super) fn none(storage: &Storage) -> Self {
        let most = storage.backend().capabilities().max_payload;
        Self { shelf: None, inline: most, most }
    }
}
