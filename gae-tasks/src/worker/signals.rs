//! A ready-made shutdown signal for servers.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::thread;

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;

use crate::backend::BoxFuture;
use crate::log;

/// Returns a future that is ready at the first SIGINT (Ctrl-C) or SIGTERM. The second signal ends
/// the process at once, with exit code 130.
///
/// For [`Worker::with_graceful_shutdown`](crate::Worker::with_graceful_shutdown). Tasks that an
/// aborted process was running are run again, as after a crash. On Windows: Ctrl-C only.
///
/// A thread of its own listens for signals from this call on: a first signal before the start of
/// the worker is not missed, and the second signal ends the process even if a handler blocks the
/// whole runtime. The function may be called outside of a runtime, and several times: the first
/// signal makes all of these futures ready, and later futures are ready at once.
///
/// If all of the futures have been dropped before the first signal, nothing can shut down
/// gracefully, and the first signal ends the process as the second one would. A program that
/// continues without its worker and then handles signals itself must keep one of the futures.
///
/// A child of `fork` has no such thread and receives no signal: fork first, then call this
/// function.
///
/// ```no_run
/// # async fn run(tasks: gae_tasks::Client) -> Result<(), gae_tasks::Error> {
/// tasks.worker().with_graceful_shutdown(gae_tasks::signals()).await
/// # }
/// ```
pub fn signals() -> Signals {
    let heard = heard();
    Signals(Box::pin(async move {
        match heard {
            // The sender lives as long as the process.
            Ok(mut heard) => _ = heard.wait_for(|heard| *heard).await,
            Err(error) => {
                log::say(|| {
                    tracing::error!(
                        %error,
                        "cannot listen for signals: a signal ends the process without a graceful \
                         shutdown"
                    );
                });
                std::future::pending().await
            }
        }
        // Logged here and not by the listening thread: a log writer that is stuck would keep the
        // thread from receiving the second signal.
        static IS_SAID: AtomicBool = AtomicBool::new(false);
        if !IS_SAID.swap(true, Ordering::Relaxed) {
            log::say(|| tracing::info!("signal received: shutting down; a second one aborts"));
        }
    }))
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

/// The exit code of a process that a signal ends at once: the same as a shell's for Ctrl-C.
const ABORTED: i32 = 130;

/// Returns a receiver that holds whether the first signal was received. Starts the listening thread
/// if there is none yet.
fn heard() -> io::Result<watch::Receiver<bool>> {
    static LISTENER: Mutex<Option<Arc<watch::Sender<bool>>>> = Mutex::new(None);
    let mut listener = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = &*listener {
        return Ok(sender.subscribe());
    }
    // Subscribed before the thread listens: without a receiver, a signal ends the process.
    let (sender, receiver) = watch::channel(false);
    let sender = Arc::new(sender);
    start(Arc::clone(&sender))?;
    *listener = Some(sender);
    Ok(receiver)
}

/// Starts the listening thread, and waits until it listens.
fn start(heard: Arc<watch::Sender<bool>>) -> io::Result<()> {
    let (listens, listening) = mpsc::channel();
    let listen = move || match open() {
        Ok((runtime, source)) => {
            _ = listens.send(Ok(()));
            runtime.block_on(listen(source, &heard));
        }
        Err(error) => _ = listens.send(Err(error)),
    };
    thread::Builder::new().name("gae-tasks-stop".to_owned()).spawn(listen)?;
    listening.recv().unwrap_or_else(|_| Err(io::Error::other("the listening thread has ended")))
}

/// Opens the source of signals, and a runtime that listens to it.
fn open() -> io::Result<(Runtime, SignalStream)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let source = {
        let _entered = runtime.enter();
        SignalStream::open()?
    };
    Ok((runtime, source))
}

async fn listen(mut source: SignalStream, heard: &watch::Sender<bool>) {
    source.next().await;
    if heard.receiver_count() > 0 {
        heard.send_replace(true);
        source.next().await;
    }
    process::exit(ABORTED);
}

#[cfg(unix)]
struct SignalStream {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl SignalStream {
    fn open() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct SignalStream(tokio::signal::windows::CtrlC);

#[cfg(not(unix))]
impl SignalStream {
    fn open() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        _ = self.0.recv().await;
    }
}
