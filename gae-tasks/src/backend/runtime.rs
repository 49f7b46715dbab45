//! Threads with their own runtime: connections outlive the callers' runtimes, and
//! callers need none.
//!
//! Code that waits without a runtime (`Defer::wait`), or blocks the only thread of one, works like
//! any other code. A connection pool made in a caller's runtime would become unusable when that
//! runtime ends.

use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::error::Error;
use crate::outcome::BoxError;

/// The runtime of a backend.
#[derive(Debug)]
pub(super) struct Runtime {
    handle: Handle,
    /// The backend's name in errors.
    backend: &'static str,
    /// Ends the threads when dropped.
    _stop: oneshot::Sender<()>,
}

impl Runtime {
    /// Starts what `builder` builds, on a thread called `thread`.
    pub(super) fn start(
        backend: &'static str,
        thread: &str,
        builder: &mut Builder,
    ) -> Result<Self, Error> {
        let built = builder.thread_name(thread).enable_all().build();
        let runtime = built.map_err(|error| failed(backend, error.into()))?;
        let handle = runtime.handle().clone();
        let (_stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            _ = runtime.block_on(stopped);
            // Calls that are still waiting return an error.
            runtime.shutdown_background();
        };
        thread::Builder::new()
            .name(thread.to_owned())
            .spawn(run)
            .map_err(|error| failed(backend, error.into()))?;
        Ok(Self { handle, backend, _stop })
    }

    /// Returns the handle of the runtime.
    #[cfg(feature = "postgres")]
    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `work` on the threads. `work` continues if the caller stops waiting.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        run(&self.handle, self.backend, work)
    }
}

/// Runs `work` on the runtime of `backend`, as [`Runtime::run`] does, for those who have only its
/// handle.
pub(super) fn run<T: Send + 'static>(
    handle: &Handle,
    backend: &'static str,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> impl Future<Output = Result<T, Error>> + Send + 'static {
    let working = handle.spawn(work.in_current_span());
    async move { working.await.unwrap_or_else(|error| Err(failed(backend, error.into()))) }
}

fn failed(backend: &'static str, source: BoxError) -> Error {
    let problem = "has lost the threads that its connections run on".to_owned();
    Error::Storage { backend, problem, source }
}
