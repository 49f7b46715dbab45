//! The worker process.

use std::path::PathBuf;

use anyhow::Result;
use gae_tasks::Client;

use crate::results::Results;

/// Where the quickstart keeps its files.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) const fn path(&self) -> &PathBuf {
        &self.0
    }

    /// The URL of the queue.
    pub(crate) fn queue(&self) -> String {
        format!("sqlite:{}", self.0.join("queue.db").display())
    }

    /// The table of results.
    pub(crate) fn results(&self) -> Result<Results> {
        Results::open(&self.0.join("results.db"))
    }
}

/// Runs tasks until the process is told to end, or killed.
pub(crate) async fn work(folder: &Folder) -> Result<()> {
    let tasks = Client::builder().state(folder.results()?).open(&folder.queue()).await?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    tasks.worker().concurrency(threads).with_graceful_shutdown(gae_tasks::signals()).await?;
    Ok(())
}
