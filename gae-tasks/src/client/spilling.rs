//! Which payloads do not travel with their tasks, and the store that they go to.

use std::sync::Arc;

use crate::backend::Capabilities;
use crate::error::Error;
use crate::payload_store::PayloadStore;

/// Bytes of a payload that travels with its task; what Google tells for a task of Cloud Tasks.
const INLINE: usize = 100 * 1024;

/// Bytes of a payload that goes to a store.
const MOST: usize = 64 * 1024 * 1024;

/// Where payloads go, and from which size on.
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
    /// The settings, if a store that was given can be had.
    pub(super) fn open(self) -> Result<Payloads, Error> {
        let Self { store, inline, most } = self;
        Ok(Payloads { store: store.transpose()?, inline, most })
    }
}

/// What became of the settings.
#[derive(Debug)]
pub(super) struct Payloads {
    pub(super) store: Option<Arc<dyn PayloadStore>>,
    inline: usize,
    most: usize,
}

impl Default for Payloads {
    fn default() -> Self {
        Self { store: None, inline: INLINE, most: MOST }
    }
}

impl Payloads {
    /// The store for a payload of so many bytes; `None` if it travels with its task.
    ///
    /// # Errors
    /// The limit, if it is larger than that.
    pub(super) fn store_for(&self, size: usize, backend: &Capabilities) -> Result<Option<&dyn PayloadStore>, usize> {
        match &self.store {
            None if size > backend.max_payload => Err(backend.max_payload),
            None => Ok(None),
            Some(_) if size <= self.inline.min(backend.max_payload) => Ok(None),
            Some(_) if size > self.most => Err(self.most),
            Some(store) => Ok(Some(store.as_ref())),
        }
    }
}
