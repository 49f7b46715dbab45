//! Defers one task for each file, starts a worker, kills it half-way, starts another, and watches.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gae_tasks::Client;
use gae_tasks::backend::{TaskFilter, TaskState};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::files;
use crate::folder::{Folder, Run};
use crate::results::Results;
use crate::tasks::{digest_file, name_of};
use crate::worker::Worker;

/// The number of tasks in one transaction.
const CHUNK: usize = 1000;

/// How often the queue is read.
const INTERVAL: Duration = Duration::from_millis(20);

/// The most dead letters that are shown.
const SHOWN: usize = 10;

/// Runs the whole show.
pub(crate) async fn run(dir: PathBuf) -> Result<()> {
    let dir =
        dir.canonicalize().with_context(|| format!("there is no folder {}", dir.display()))?;
    let files = files::below(&dir);
    ensure!(!files.is_empty(), "{} has no files", dir.display());
    let folder = Folder::lock(&dir)?;
    let mut opened = open(&folder).await?;
    let mut lost = digest(&files, &opened).await?;
    if lost > 0 {
        println!("beginning anew, as the results of {lost} files were lost");
        opened = Opened::new(folder.new_run()?).await?;
        lost = digest(&files, &opened).await?;
    }
    ensure!(
        lost == 0,
        "the results of {lost} files were lost: does another program change {}?",
        folder.path().display()
    );
    summary(&opened).await
}

/// A run with its queue and its results open.
struct Opened {
    run: Run,
    tasks: Client,
    results: Results,
}

/// Opens the run that was stopped, or begins a new one.
async fn open(folder: &Folder) -> Result<Opened> {
    if let Some(run) = folder.unfinished_run()? {
        match Opened::new(run).await {
            Ok(opened) => {
                println!(
                    "going on where the last run was stopped: {} files are done",
                    opened.results.totals()?.files
                );
                return Ok(opened);
            }
            Err(error) => println!("beginning anew, as the last run cannot go on: {error:#}"),
        }
    }
    Opened::new(folder.new_run()?).await
}

impl Opened {
    async fn new(run: Run) -> Result<Self> {
        let results = run.results()?;
        let tasks = Client::open(&run.queue()).await?;
        // Nobody would run the tasks of another version of the quickstart.
        ensure!(
            tasks.unroutable().await?.is_empty(),
            "{} holds tasks of another version",
            run.queue()
        );
        Ok(Self { run, tasks, results })
    }
}

/// Has every file digested. Returns how many files have neither a result nor a dead letter, because
/// another program removed it.
async fn digest(files: &[String], Opened { run, tasks, results }: &Opened) -> Result<u64> {
    defer(tasks, files).await?;
    show(run, tasks).await?;
    run.finish()?;
    let mut missing = 0;
    for path in files {
        missing += u64::from(!results.has(path)?);
    }
    Ok(missing.saturating_sub(tasks.stats().await?.dead))
}

/// Defers a task for every file. By their names, a restarted quickstart defers none twice.
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

/// Shows the progress of a worker until no task is open.
///
/// A result for each file is no sign of the end: the last result is stored a moment before its task
/// is recorded as done, and a file that is gone never has a result.
async fn show(run: &Run, tasks: &Client) -> Result<()> {
    let begun = Instant::now();
    let total = tasks.stats().await?.open();
    if total == 0 {
        return Ok(());
    }
    let bar = ProgressBar::new(total).with_style(style()?);
    let worker = Worker::start(run)?;
    println!("worker {} runs them", worker.id());
    watch(worker, tasks, &bar).await?;
    bar.finish();
    let took = begun.elapsed();
    println!("{total} tasks in {took:.1?}: {:.0} tasks/s", total as f64 / took.as_secs_f64());
    Ok(())
}

/// The style of the progress bar, with whole numbers.
fn style() -> Result<ProgressStyle> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} tasks, {rate}, {elapsed}")?;
    let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
        _ = write!(text, "{:.0} tasks/s", state.per_sec())
    };
    Ok(style.with_key("rate", rate))
}

/// Kills the worker half-way and replaces workers that others killed, until no task is open.
async fn watch(mut worker: Worker<'_>, tasks: &Client, bar: &ProgressBar) -> Result<()> {
    let total = bar.length().unwrap_or(0);
    let mut to_be_killed = total > 1;
    loop {
        let done = total.saturating_sub(tasks.stats().await?.open());
        bar.set_position(done);
        if done == total {
            return Ok(());
        }
        let id = worker.id();
        if let Some(status) = worker.ended()? {
            worker.replace()?;
            bar.suspend(|| {
                println!("worker {id} has ended ({status}); worker {} goes on", worker.id())
            });
        } else if to_be_killed && done >= total / 2 {
            to_be_killed = false;
            worker.replace()?;
            let next = worker.id();
            bar.suspend(|| {
                println!("killed worker {id} after {done} of {total} tasks; worker {next} goes on")
            });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Prints the results, and why a file has none.
async fn summary(Opened { run, tasks, results }: &Opened) -> Result<()> {
    let totals = results.totals()?;
    println!("{} files, {} lines, {} words", totals.files, totals.lines, totals.words);
    let dead = tasks.stats().await?.dead;
    if dead > 0 {
        println!("{dead} files could not be digested; their dead letters say:");
        for letter in tasks.list(TaskFilter::new().state(TaskState::Dead), None, SHOWN).await? {
            println!("  {}", letter.errors.last().map_or("no error", |error| &error.message));
        }
    }
    let every = if dead > 0 { "every other" } else { "every" };
    println!(
        "{every} file exactly once in the result, {} digested twice because of the kill",
        totals.repeated
    );
    println!("the results: {}", run.results_file().display());
    Ok(())
}
