//! The program that the chaos tests start, stop and kill: `work URL [--OPTION VALUE ..]` or
//! `defer URL [..]`.
//!
//! `work` takes `--lease`, `--grace` (seconds, with fractions), `--concurrency`, `--queues` (with
//! commas); `defer` takes `--callers`, `--bytes` (of each payload), `--queue`, and prints
//! `stored ID` or `failed WHY` when a call returns; both take `--clock FILE` and `--retention DAYS`
//! (of dead letters).

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use gae_tasks::{BoxError, Client};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::clock::FileClock;
use super::tasks::carry;

/// The pause of a caller after an error.
const PAUSE: Duration = Duration::from_millis(50);

/// Obeys the command line.
///
/// # Errors
/// The command line is wrong, or the tasks cannot be opened.
pub async fn run() -> Result<(), BoxError> {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let url = arguments.next().ok_or("name a URL")?;
    let options = Options::read(arguments)?;
    let tasks = options.client(&url).await?;
    match verb.as_str() {
        "work" => work(tasks, &options).await,
        "defer" => defer(tasks, &options).await,
        _ => Err(format!("`{verb}` is neither `work` nor `defer`").into()),
    }
}

async fn work(tasks: Client, options: &Options) -> Result<(), BoxError> {
    let mut worker = tasks.worker().with_graceful_shutdown(gae_tasks::signals());
    if let Some(seconds) = options.get("lease")? {
        worker = worker.lease(Duration::from_secs_f64(seconds));
    }
    if let Some(seconds) = options.get("grace")? {
        worker = worker.grace(Duration::from_secs_f64(seconds));
    }
    if let Some(attempts) = options.get("concurrency")? {
        worker = worker.concurrency(attempts);
    }
    if let Some(queues) = options.get::<String>("queues")? {
        worker = worker.queues(queues.split(','));
    }
    Ok(worker.await?)
}

/// Defers with several concurrent callers until the process is killed.
async fn defer(tasks: Client, options: &Options) -> Result<(), BoxError> {
    let freight = "x".repeat(options.get("bytes")?.unwrap_or(0));
    let queue = options.get::<String>("queue")?.unwrap_or("chaos".to_owned());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..options.get("callers")?.unwrap_or(1) {
        let (tasks, freight, queue) = (tasks.clone(), freight.clone(), queue.clone());
        callers.spawn(async move {
            loop {
                match carry::defer(&freight).queue(&queue).on(&tasks).await {
                    Ok(deferred) => println!("stored {}", deferred.id),
                    Err(error) => {
                        println!("failed {error}");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        });
    }
    callers.join_all().await;
    Ok(())
}

/// The options of the command line.
struct Options(BTreeMap<String, String>);

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut options = BTreeMap::new();
        while let Some(name) = arguments.next() {
            let name = name
                .strip_prefix("--")
                .ok_or_else(|| format!("`{name}` is not an option"))?
                .to_owned();
            let value = arguments.next().ok_or_else(|| format!("`--{name}` lacks a value"))?;
            options.insert(name, value);
        }
        Ok(Self(options))
    }

    fn get<T: FromStr<Err: Into<BoxError>>>(&self, name: &str) -> Result<Option<T>, BoxError> {
        self.0.get(name).map(|value| value.parse().map_err(Into::into)).transpose()
    }

    async fn client(&self, url: &str) -> Result<Client, BoxError> {
        let mut builder = Client::builder();
        if let Some(file) = self.get::<String>("clock")? {
            builder = builder.clock(FileClock::new(file));
        }
        if let Some(days) = self.get::<u64>("retention")? {
            builder = builder.dead_letter_retention(Duration::from_secs(days * 24 * 60 * 60));
        }
        Ok(builder.open(url).await?)
    }
}
