//! The worker process.

use std::path::PathBuf;

use anyhow::Result;
use gae_tasks::Client;

use crate::results::Results;

const QUEUE: &str = "queue.db";
const RESULTS: &str = "results.db";

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
        format!("sqlite:{}", self.0.join(QUEUE).display())
    }

    /// The table of results.
    pub(crate) fn results(&self) -> Result<Results> {
        Results::open(&self.results_file())
    }

    pub(crate) fn results_file(&self) -> PathBuf {
        self.0.join(RESULTS)
    }

    /// Forgets the queue of a run that is finished: its results are kept until the next one.
    pub(crate) fn forget_queue(&self) -> Result<()> {
        self.remove(QUEUE)
    }

    /// Forgets the results of a finished run, which has left no queue.
    pub(crate) fn forget_finished_run(&self) -> Result<()> {
        if self.0.join(QUEUE).exists() { Ok(()) } else { self.remove(RESULTS) }
    }

    /// Removes a database: the file, its log, and what else is named after it.
    fn remove(&self, database: &str) -> Result<()> {
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(database) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Runs tasks until the process is told to end, or killed.
pub(crate) async fn work(folder: &Folder) -> Result<()> {
    let tasks = Client::builder().state(folder.results()?).open(&folder.queue()).await?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    tasks.worker().concurrency(threads).with_graceful_shutdown(gae_tasks::signals()).await?;
    Ok(())
}
