//! Which client code defers with that names none: the surrounding scope's, this thread's, or the
//! process's.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::Client;
use crate::context::Surroundings;
use crate::error::Error;

static INSTALLED: OnceLock<Client> = OnceLock::new();

tokio::task_local! {
    /// The client of the innermost scope.
    static SCOPED: Client;
}

thread_local! {
    /// The clients entered on this thread, each with the number its guard knows it by.
    static ENTERED: RefCell<Vec<(u64, Client)>> = const { RefCell::new(Vec::new()) };
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
        SCOPED.scope(self.clone(), future)
    }

    /// Makes this the client of this thread until the guard is dropped: in a test with a
    /// current-thread runtime, of everything it spawns too.
    pub fn enter(&self) -> ClientGuard {
        let number = ENTERED.with_borrow_mut(|entered| {
            let number = entered.last().map_or(0, |(last, _)| last + 1);
            entered.push((number, self.clone()));
            number
        });
        ClientGuard { number, not_send: PhantomData }
    }

    /// The client that code here defers with: that of the innermost [`scope`](Self::scope) (a
    /// handler is in its worker's), else of the innermost [`enter`](Self::enter) of this thread,
    /// else the installed one.
    pub fn current() -> Option<Self> {
        let scoped = SCOPED.try_with(Self::clone).ok();
        scoped
            .or_else(|| ENTERED.with_borrow(|entered| Some(entered.last()?.1.clone())))
            .or_else(|| INSTALLED.get().cloned())
    }
}

/// The handlers that a client has run defer with it.
impl Surroundings for Client {
    fn within(&self, work: &mut dyn FnMut()) {
        SCOPED.sync_scope(self.clone(), work);
    }
}

/// Keeps a client the one of this thread: see [`Client::enter`].
#[must_use = "the client is left again when this is dropped"]
#[derive(Debug)]
pub struct ClientGuard {
    number: u64,
    /// A guard must be dropped on the thread it was made on.
    not_send: PhantomData<*const ()>,
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        // Guards may be dropped in any order, and after the thread's own values at its end.
        _ = ENTERED
            .try_with(|entered| entered.borrow_mut().retain(|(number, _)| *number != self.number));
    }
}
