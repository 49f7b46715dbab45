//! The backend of a client: one that workers lease from, or one that calls handlers over HTTP.

use std::sync::Arc;

use crate::backend::{Backend, Pull};
use crate::payload_store::Shelf;
use crate::spilling::Spilling;

/// The backend of a client.
#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// A backend that workers lease from.
    Pull(Arc<dyn Pull>),
    /// A backend that calls handlers over HTTP, or that is not to be asked for leases.
    Push(Arc<dyn Backend>),
}

impl Storage {
    pub(super) fn backend(&self) -> &dyn Backend {
        match self {
            Self::Pull(pull) => &**pull,
            Self::Push(backend) => &**backend,
        }
    }

    pub(super) fn shared(&self) -> Arc<dyn Backend> {
        match self {
            Self::Pull(pull) => Arc::clone(pull) as _,
            Self::Push(backend) => Arc::clone(backend),
        }
    }

    /// Moves payloads of more than `inline` bytes into a payload store.
    pub(super) fn spill(&mut self, shelf: &Shelf, inline: usize) {
        *self = match self {
            Self::Pull(pull) => {
                Self::Pull(Arc::new(Spilling::new(Arc::clone(pull), shelf.clone(), inline)))
            }
            Self::Push(backend) => {
                Self::Push(Arc::new(Spilling::new(Arc::clone(backend), shelf.clone(), inline)))
            }
        };
    }

    pub(super) const fn pull(&self) -> Option<&Arc<dyn Pull>> {
        match self {
            Self::Pull(pull) => Some(pull),
            Self::Push(_) => None,
        }
    }
}
