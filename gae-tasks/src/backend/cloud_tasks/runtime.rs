//! A thread with its own runtime: the client's connections outlive the callers' runtimes, and
//! callers need none.

use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::limits::NAME;
use crate::error::Error;
use crate::outcome::BoxError;

/// The runtime of the client.
///
/// Code that waits without a runtime (`Defer::wait`), or blocks the only thread of one, works like
/// any other code. A connection pool made in a caller's runtime would become unusable when that
/// runtime ends.
#[derive(Debug)]
pub(super) struct Runtime {
    handle: Handle,
    /// Ends the thread when dropped.
    _stop: oneshot::Sender<()>,
}

impl Runtime {
    pub(super) fn start() -> Result<Self, Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        let handle = runtime.handle().clone();
        let (_stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            _ = runtime.block_on(stopped);
            // Calls that are still waiting return an error.
            runtime.shutdown_background();
        };
        thread::Builder::new()
            .name("gae-tasks-google".to_owned())
            .spawn(run)
            .map_err(|error| failed(error.into()))?;
        Ok(Self { handle, _stop })
    }

    /// Runs `work` on the thread. `work` continues if the caller stops waiting.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        let working = self.handle.spawn(work.in_current_span());
        async { working.await.unwrap_or_else(|error| Err(failed(error.into()))) }
    }
}

fn failed(source: BoxError) -> Error {
    Error::Storage {
        backend: NAME,
        problem: "has lost the thread that its client runs on".to_owned(),
        source,
    }
}
