//! What keeps a client's tasks: a backend that workers lease from, or one that calls handlers over HTTP.

use std::sync::Arc;

use crate::backend::{Backend, Pull};

/// What keeps a client's tasks.
#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// Workers lease from it.
    Pull(Arc<dyn Pull>),
    /// It calls handlers over HTTP, or is to be asked for no leases.
    Push(Arc<dyn Backend>),
}

impl Storage {
    pub(super) fn backend(&self) -> &dyn Backend {
        match self {
            Self::Pull(pull) => &**pull,
            Self::Push(backend) => &**backend,
        }
    }

    pub(super) const fn pull(&self) -> Option<&Arc<dyn Pull>> {
        match self {
            Self::Pull(pull) => Some(pull),
            Self::Push(_) => None,
        }
    }
}
