//! The ready-made shutdown signal of servers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::backend::BoxFuture;

/// Ready at the first SIGINT (Ctrl-C) or SIGTERM; the second one ends the process at once, with exit code 130.
///
/// For [`Worker::with_graceful_shutdown`](crate::Worker::with_graceful_shutdown). What an aborted process was running
/// is run again, as after a crash. On Windows: Ctrl-C only.
///
/// ```no_run
/// # async fn run(tasks: gae_tasks::Client) -> Result<(), gae_tasks::Error> {
/// tasks.worker().with_graceful_shutdown(gae_tasks::signals()).await
/// # }
/// ```
pub fn signals() -> Signals {
    // Listened to from here on, not from the first poll on; outside a runtime there is nothing to listen with yet.
    let source = tokio::runtime::Handle::try_current().ok().map(|_| Source::open());
    Signals(Box::pin(async move {
        let mut source = source.unwrap_or_else(Source::open);
        source.next().await;
        tracing::info!("signal received: shutting down; a second one aborts");
        // The same source goes on listening: a second signal that follows at once is not missed.
        let abort = move || abort_at_next(source);
        if let Err(error) = std::thread::Builder::new().name("gae-tasks-abort".to_owned()).spawn(abort) {
            tracing::error!(%error, "no thread for a second signal: it will be ignored");
        }
    }))
}

/// Waits on a thread of its own: the runtime of the worker may be what is stuck.
fn abort_at_next(mut source: Source) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(source.next()),
        Err(error) => return tracing::error!(%error, "a second signal will be ignored"),
    }
    std::process::exit(130);
}

/// The future of [`signals()`].
#[must_use = "futures do nothing unless awaited"]
pub struct Signals(BoxFuture<'static, ()>);

impl Future for Signals {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signals")
    }
}

#[cfg(unix)]
struct Source(Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>);

#[cfg(unix)]
impl Source {
    fn open() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => Self(Some((interrupt, terminate))),
            (interrupt, terminate) => {
                let error = interrupt.err().or(terminate.err());
                tracing::error!(?error, "signals cannot be listened to: the process ends without a graceful shutdown");
                Self(None)
            }
        }
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some((interrupt, terminate)) => tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            },
            None => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    fn open() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
