//! The worker process, and how it is started, killed and replaced.

use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use gae_tasks::Client;
use tokio::sync::oneshot;

use crate::folder::Run;

/// The most processes that are started one after another. A task that kills its worker becomes a
/// dead letter before that.
const MOST_STARTED: u32 = 10;

/// Runs tasks until a signal, or until the process that started the worker is gone.
pub(crate) async fn work(run: &Run) -> Result<()> {
    let starter_is_gone = end_of_input();
    let tasks = Client::builder().state(run.results()?).open(&run.queue()).await?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let shutdown = async {
        tokio::select! {
            () = gae_tasks::signals() => {}
            () = starter_is_gone => {}
        }
    };
    tasks.worker().concurrency(threads).with_graceful_shutdown(shutdown).await?;
    Ok(())
}

/// Ready when standard input ends. The operating system closes its other end when the starter ends,
/// however that happens.
///
/// A thread of its own waits for that: a runtime waits at its shutdown for threads of its pool.
fn end_of_input() -> impl Future<Output = ()> {
    let (ended, end) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        // An error also means that nobody is there.
        _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(ended);
    });
    async { _ = end.await }
}

/// A worker process as its starter sees it. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    run: &'a Run,
    /// Holds the other end of the worker's standard input, and writes nothing.
    process: Child,
    started: u32,
}

impl<'a> Worker<'a> {
    pub(crate) fn start(run: &'a Run) -> Result<Self> {
        Ok(Self { run, process: process(run)?, started: 1 })
    }

    /// Kills the process, if it has not ended, and starts another.
    pub(crate) fn replace(&mut self) -> Result<()> {
        ensure!(
            self.started < MOST_STARTED,
            "{MOST_STARTED} workers have ended before the work was done: start the quickstart \
             again to go on"
        );
        self.kill()?;
        self.process = process(self.run)?;
        self.started += 1;
        Ok(())
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }

    fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // The process may have ended already.
        _ = self.kill();
    }
}

fn process(run: &Run) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--worker").arg(run.path()).stdin(Stdio::piped());
    command.spawn().context("cannot start the worker process")
}
