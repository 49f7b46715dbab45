//! Threads with their own runtime: connections outlive the callers' runtimes, callers need none, and
//! no handler that blocks its runtime delays the storage.

use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::error::NAME;
use crate::error::Error;
use crate::outcome::BoxError;

/// How many threads work for a backend: one encodes and decodes while the other waits for a commit.
const THREADS: usize = 2;

/// The runtime of a backend.
#[derive(Debug)]
pub(super) struct Runtime {
    handle: Handle,
    /// Ends the threads when dropped.
    _stop: oneshot::Sender<()>,
}

impl Runtime {
    pub(super) fn start() -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("gae-tasks-postgres")
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
            .name("gae-tasks-postgres".to_owned())
            .spawn(run)
            .map_err(|error| failed(error.into()))?;
        Ok(Self { handle, _stop })
    }

    /// Returns the handle of the runtime.
    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `work` on the threads. `work` continues if the caller stops waiting.
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
        problem: "has lost the threads that its connections run on".to_owned(),
        source,
    }
}
