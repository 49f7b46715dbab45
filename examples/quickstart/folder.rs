//! The files of the quickstart: one folder for each folder it digests, with one run after another.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::results::Results;

/// How the names of these folders begin.
pub(crate) const PREFIX: &str = "gae-tasks-quickstart-";

/// How the names of runs begin; a number follows.
const RUN: &str = "run-";

const LOCK: &str = "lock";

/// How long to wait for another quickstart: one that was killed a moment ago may still be ending.
const PATIENCE: Duration = Duration::from_secs(2);

/// The folder of one quickstart. No other process uses it while this value lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The operating system unlocks the file when the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// The folder for `dir`: a second run finds what the first one left.
    pub(crate) fn lock(dir: &Path) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        dir.hash(&mut hasher);
        let path = std::env::temp_dir().join(format!("{PREFIX}{:016x}", hasher.finish()));
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        let file = path.join(LOCK);
        let lock = File::create(&file)
            .with_context(|| format!("cannot make the file {}", file.display()))?;
        wait_for(&lock, dir)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last run, if it was stopped.
    pub(crate) fn unfinished_run(&self) -> Result<Option<Run>> {
        let last = self.last_number()?.map(|number| self.run(u64::from(number)));
        Ok(last.filter(|run| !run.is_finished()))
    }

    /// Begins a run, and removes what earlier runs left.
    ///
    /// The run has a folder of its own, so a living worker of an earlier run cannot harm it.
    pub(crate) fn new_run(&self) -> Result<Run> {
        let run = self.run(self.last_number()?.map_or(1, |last| u64::from(last) + 1));
        fs::create_dir(&run.0)
            .with_context(|| format!("cannot make the folder {}", run.0.display()))?;
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path != run.0 && !path.ends_with(LOCK) {
                // What such a worker still uses may not be removable; a later run removes it.
                _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        }
        Ok(run)
    }

    fn run(&self, number: u64) -> Run {
        Run(self.path.join(format!("{RUN}{number}")))
    }

    fn last_number(&self) -> Result<Option<u32>> {
        let mut last = None;
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            last = last.max(name.to_str().and_then(|name| name.strip_prefix(RUN)?.parse().ok()));
        }
        Ok(last)
    }
}

fn wait_for(lock: &File, dir: &Path) -> Result<()> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => {
                return Err(error)
                    .with_context(|| format!("cannot lock the folder for {}", dir.display()));
            }
            Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => {
                bail!(
                    "another quickstart digests {}: wait until it has ended, or stop it",
                    dir.display()
                )
            }
            Err(TryLockError::WouldBlock) if !is_told => {
                is_told = true;
                println!("waiting for another quickstart to end");
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The folder of one run: its queue and its results.
#[derive(Debug)]
pub(crate) struct Run(PathBuf);

impl Run {
    pub(crate) fn at(path: OsString) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The URL of the queue.
    pub(crate) fn queue(&self) -> String {
        format!("sqlite:{}", self.queue_file().display())
    }

    /// The table of results.
    pub(crate) fn results(&self) -> Result<Results> {
        Results::open(&self.results_file())
    }

    pub(crate) fn results_file(&self) -> PathBuf {
        self.0.join("results.db")
    }

    /// Marks the run as finished: the next quickstart begins a new one.
    pub(crate) fn finish(&self) -> Result<()> {
        let mark = self.mark();
        File::create(&mark).with_context(|| format!("cannot make the file {}", mark.display()))?;
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.mark().exists()
    }

    fn queue_file(&self) -> PathBuf {
        self.0.join("queue.db")
    }

    fn mark(&self) -> PathBuf {
        self.0.join("finished")
    }
}
