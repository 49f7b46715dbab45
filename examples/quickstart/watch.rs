//! Defers one task for each file, starts a worker, kills it half-way, starts another, and watches.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gae_tasks::Client;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use walkdir::{DirEntry, WalkDir};

use crate::results::{Results, Totals};
use crate::tasks::digest_file;
use crate::worker::Folder;

/// Tasks of one transaction.
const CHUNK: usize = 1000;

/// Runs the whole show.
pub(crate) async fn run(dir: PathBuf) -> Result<()> {
    let dir = dir.canonicalize().with_context(|| format!("there is no folder {}", dir.display()))?;
    let files = files(&dir)?;
    ensure!(!files.is_empty(), "{} has no files", dir.display());
    let folder = folder_for(&dir)?;
    folder.forget_finished_run()?;
    let results = folder.results()?;
    let tasks = Client::builder().state(folder.results()?).open(&folder.queue()).await?;

    let done_before = results.totals()?.files;
    if done_before > 0 {
        println!("going on where the last run was stopped: {done_before} of {} files are done", files.len());
    }
    defer(&tasks, &files).await?;
    let begun = Instant::now();
    show(&folder, &results, files.len() as u64).await?;
    while tasks.stats().await?.open() > 0 {
        // The last result is stored a moment before its task is recorded as done.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let totals = results.totals()?;
    ensure!(totals.files == files.len() as u64, "{} files, {} results", files.len(), totals.files);
    summary(&totals, totals.files - done_before, begun.elapsed());
    drop((tasks, results));
    folder.forget_queue()?;
    println!("the results: {}", folder.results_file().display());
    Ok(())
}

/// Defers a task for every file; its name makes sure that a restarted quickstart defers none a second time.
async fn defer(tasks: &Client, files: &[String]) -> Result<()> {
    let begun = Instant::now();
    let mut created = 0;
    for chunk in files.chunks(CHUNK) {
        let calls = chunk.iter().map(|path| digest_file::defer(path).named(name_of(path)));
        created += tasks.defer_many(calls).await?.iter().filter(|answer| answer.created).count();
    }
    println!("deferred {created} tasks in {:.0?}", begun.elapsed());
    Ok(())
}

/// Shows the progress until every file has a result; kills the worker half-way.
async fn show(folder: &Folder, results: &Results, files: u64) -> Result<()> {
    let bar = ProgressBar::new(files);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} files, {per_sec}, {elapsed}")?);
    let mut worker = Worker::start(folder)?;
    let mut to_be_killed = results.totals()?.files < files / 2;
    loop {
        let done = results.totals()?.files;
        bar.set_position(done);
        if to_be_killed && done >= files / 2 {
            to_be_killed = false;
            worker.kill()?;
            bar.suspend(|| println!("killed the worker (SIGKILL) after {done} of {files} files; starting another"));
            worker = Worker::start(folder)?;
        }
        if done >= files {
            bar.finish();
            return Ok(());
        }
        worker.check()?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn summary(totals: &Totals, done: u64, took: Duration) {
    println!(
        "{} files, {} lines, {} words: every file exactly once in the result, {} digested twice because of the kill",
        totals.files, totals.lines, totals.words, totals.repeated
    );
    println!("{done} tasks in {took:.1?}: {:.0} tasks/s", done as f64 / took.as_secs_f64());
}

/// A worker process, killed when this is dropped.
struct Worker(Child);

impl Worker {
    fn start(folder: &Folder) -> Result<Self> {
        let program = std::env::current_exe()?;
        let child = Command::new(program).arg("--worker").arg(folder.path()).spawn();
        child.map(Self).context("cannot start the worker process")
    }

    fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("the worker process has ended: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.kill();
    }
}

/// Every file below `dir`, without hidden folders and build output.
fn files(dir: &Path) -> Result<Vec<String>> {
    let is_wanted = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name.starts_with('.') || entry.file_type().is_dir() && name == "target")
    };
    let mut files = Vec::new();
    for entry in WalkDir::new(dir).into_iter().filter_entry(is_wanted) {
        let entry = entry?;
        if entry.file_type().is_file() {
            files.push(entry.path().to_str().context("a file name is no text")?.to_owned());
        }
    }
    Ok(files)
}

/// A folder of the quickstart's own for each folder it digests, so that a second run finds the first one's.
fn folder_for(dir: &Path) -> Result<Folder> {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    let path = std::env::temp_dir().join(format!("gae-tasks-quickstart-{:016x}", hasher.finish()));
    std::fs::create_dir_all(&path)?;
    Ok(Folder::at(path))
}

/// A task name for a path: names are letters, digits, hyphens and underscores.
fn name_of(path: &str) -> String {
    Sha256::digest(path).iter().map(|byte| format!("{byte:02x}")).collect()
}
