//! The client of a defer that names none: the surrounding scope's, this thread's, or the process's.

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
    /// The clients entered on this thread, each with the number of its guard.
    static ENTERED: RefCell<Vec<(u64, Client)>> = const { RefCell::new(Vec::new()) };
}

impl Client {
    /// Makes this client the default of the process, for code without another client.
    ///
    /// # Errors
    /// [`Error::AlreadyInstalled`] if a client was installed before.
    pub fn install(&self) -> Result<(), Error> {
        INSTALLED.set(self.clone()).map_err(|_| Error::AlreadyInstalled)
    }

    /// Makes this client the current one in `future`, but not in tasks that `future` spawns.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        SCOPED.scope(self.clone(), future)
    }

    /// Makes this client the current one on this thread until the guard is dropped. In a test with
    /// a current-thread runtime, this includes everything that the thread spawns.
    pub fn enter(&self) -> ClientGuard {
        let number = ENTERED.with_borrow_mut(|entered| {
            let number = entered.last().map_or(0, |(last, _)| last + 1);
            entered.push((number, self.clone()));
            number
        });
        ClientGuard { number, not_send: PhantomData }
    }

    /// Returns the client that code here defers with: the client of the innermost
    /// [`scope`](Self::scope) (a handler runs in its worker's), otherwise of the innermost
    /// [`enter`](Self::enter) on this thread, otherwise the installed client.
    pub fn current() -> Option<Self> {
        let scoped = SCOPED.try_with(Self::clone).ok();
        scoped
            .or_else(|| ENTERED.with_borrow(|entered| Some(entered.last()?.1.clone())))
            .or_else(|| INSTALLED.get().cloned())
    }
}

/// Handlers defer with the client that runs them.
impl Surroundings for Client {
    fn within(&self, work: &mut dyn FnMut()) {
        SCOPED.sync_scope(self.clone(), work);
    }
}

/// Keeps a client current on this thread: see [`Client::enter`].
#[must_use = "the client stays current only until the guard is dropped"]
#[derive(Debug)]
pub struct ClientGuard {
    number: u64,
    /// A guard must be dropped on the thread that made it.
    not_send: PhantomData<*const ()>,
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        // Guards may be dropped in any order, and after the thread's own values when the thread
        // ends.
        _ = ENTERED
            .try_with(|entered| entered.borrow_mut().retain(|(number, _)| *number != self.number));
    }
}
