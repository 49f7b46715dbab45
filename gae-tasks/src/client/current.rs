//! Which client code defers with that names none: the surrounding scope's, this thread's, or the process's.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use super::Client;
use crate::context::Ambient;
use crate::error::Error;

static INSTALLED: OnceLock<Client> = OnceLock::new();

thread_local! {
    static ENTERED: RefCell<Vec<Client>> = const { RefCell::new(Vec::new()) };
}

impl Client {
    /// Makes this the client of all code of this process that has no other.
    ///
    /// # Errors
    /// [`Error::AlreadyInstalled`] if one was installed before.
    pub fn install(&self) -> Result<(), Error> {
        INSTALLED.set(self.clone()).map_err(|_| Error::AlreadyInstalled)
    }

    /// Makes this the client of `future`, but not of what it spawns.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        let mut ambient = Ambient::current();
        ambient.client = Some(Arc::new(self.clone()));
        ambient.scope(future)
    }

    /// Makes this the client of this thread until the guard is dropped: in a test with a current-thread runtime, of
    /// everything it spawns too.
    pub fn enter(&self) -> ClientGuard {
        ENTERED.with_borrow_mut(|entered| entered.push(self.clone()));
        ClientGuard { not_send: PhantomData }
    }

    /// The client that code here defers with: that of the innermost [`scope`](Self::scope) (a handler is in its
    /// worker's), else of the innermost [`enter`](Self::enter) of this thread, else the installed one.
    pub fn current() -> Option<Self> {
        let scoped = Ambient::with(|ambient| ambient.client.as_ref()?.downcast_ref::<Self>().cloned()).flatten();
        scoped.or_else(|| ENTERED.with_borrow(|entered| entered.last().cloned())).or_else(|| INSTALLED.get().cloned())
    }
}

/// Keeps a client the one of this thread: see [`Client::enter`].
#[must_use = "the client is left again when this is dropped"]
#[derive(Debug)]
pub struct ClientGuard {
    /// A guard must be dropped on the thread it was made on.
    not_send: PhantomData<*const ()>,
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        ENTERED.with_borrow_mut(Vec::pop);
    }
}
