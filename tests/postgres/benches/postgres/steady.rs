//! A steady load: whether dead tuples, the sizes of the tables and the latency level off.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gae_tasks::{BoxError, Client};
use gae_tasks_tests_postgres::raw::Times;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout_at};

use crate::place::{Place, SCHEMA};
use crate::remote::{self, Remote};
use crate::settings::Load;

const MINUTE: Duration = Duration::from_secs(60);

/// How often tasks are stored, all that are due at once.
const TICK: Duration = Duration::from_millis(5);

/// The tables that are written all the time, in the order of their names.
const TABLES: [&str; 3] = ["lease", "task", "waiting"];

/// Stores tasks at a steady rate, which a worker in another process runs, and prints a line each
/// minute.
pub(crate) async fn measure(place: &Place, load: &Load) -> Result<(), BoxError> {
    let Load { minutes, snapshot, rate } = load;
    println!("\n{minutes} minutes of {rate} tasks/s, {snapshot} of them beside an open snapshot");
    let url = place.empty_queue().await?;
    let client = Client::open(&url).await?;
    let mut worker = Remote::start(&url)?;
    let sent = AtomicU64::new(0);
    let minutes = tokio::select! {
        minutes = watch(place, &mut worker, load, &sent) => minutes?,
        failed = produce(&client, *rate, &sent) => match failed? {},
    };
    worker.stop()?;
    print_snapshot(&minutes);
    print_levels(&minutes);
    Ok(())
}

/// Stores tasks by concurrent calls of `defer`, until one fails.
async fn produce(client: &Client, rate: usize, sent: &AtomicU64) -> Result<Infallible, BoxError> {
    let (began, mut ticks, mut running) = (Instant::now(), interval(TICK), JoinSet::new());
    loop {
        ticks.tick().await;
        let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
        for _ in sent.load(Ordering::Relaxed)..due {
            let client = client.clone();
            running.spawn(async move { remote::call().on(&client).await });
        }
        sent.store(due, Ordering::Relaxed);
        while let Some(stored) = running.try_join_next() {
            stored??;
        }
    }
}

/// What was seen at the end of a minute.
#[derive(Debug)]
struct Minute {
    latency: Times,
    /// Dead tuples and bytes of each of the [`TABLES`].
    tables: Vec<(i64, i64)>,
    /// Whether a snapshot was open.
    is_held: bool,
}

impl Minute {
    fn dead(&self) -> i64 {
        self.tables.iter().map(|(dead, _)| dead).sum()
    }

    fn bytes(&self) -> i64 {
        self.tables.iter().map(|(_, bytes)| bytes).sum()
    }

    fn p99(&self) -> f64 {
        self.latency.p99().as_secs_f64() * 1e3
    }

    fn print(&self, number: usize, behind: u64) {
        let Self { latency, tables, is_held } = self;
        let tables = TABLES.iter().zip(tables).map(|(name, (dead, bytes))| {
            format!(", {name} {dead} dead and {:.1} MiB", *bytes as f64 / f64::from(1 << 20))
        });
        let tables: String = tables.collect();
        let held = if *is_held { ", a snapshot is open" } else { "" };
        let count = latency.count();
        println!("  minute {number}: {count} tasks, {behind} behind, {latency}{tables}{held}");
    }
}

async fn watch(
    place: &Place,
    worker: &mut Remote,
    load: &Load,
    sent: &AtomicU64,
) -> Result<Vec<Minute>, BoxError> {
    let (mut minutes, mut run, mut holder) = (Vec::new(), 0, None);
    // The minutes before are what those beside the snapshot are compared with.
    let first = (load.minutes / 6).max(2);
    let mut end = Instant::now();
    for number in 0..load.minutes {
        let is_held = (first..first + load.snapshot).contains(&number);
        if is_held && holder.is_none() {
            holder = Some(hold(place.url()).await?);
        } else if !is_held && let Some(holder) = holder.take() {
            holder.close().await?;
        }
        end += MINUTE;
        let latencies = latencies_until(worker, end).await?;
        run += latencies.len() as u64;
        if latencies.is_empty() {
            return Err("no task has begun for a minute".into());
        }
        let (latency, tables) = (Times::new(latencies), tables(place.url()).await?);
        let minute = Minute { latency, tables, is_held };
        minute.print(number + 1, sent.load(Ordering::Relaxed).saturating_sub(run));
        minutes.push(minute);
    }
    Ok(minutes)
}

/// Opens a snapshot, as a long report does: what is deleted from now on cannot be cleaned up.
async fn hold(url: &str) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    // The first query takes the snapshot.
    connection.execute("SELECT count(*) FROM pg_class").await?;
    Ok(connection)
}

async fn latencies_until(worker: &mut Remote, end: Instant) -> Result<Vec<Duration>, BoxError> {
    let mut latencies = Vec::new();
    while let Ok(latency) = timeout_at(end, worker.latency()).await {
        latencies.push(latency?);
    }
    Ok(latencies)
}

async fn tables(url: &str) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let read = "SELECT n_dead_tup, pg_total_relation_size(relid) FROM pg_stat_user_tables \
                WHERE schemaname = $1 AND relname = ANY($2) ORDER BY relname";
    let mut connection = PgConnection::connect(url).await?;
    let read = sqlx::query_as(read).bind(SCHEMA).bind(TABLES.to_vec());
    let tables = read.fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(tables)
}

/// Prints what the snapshot has done to the latency, and whether that is over a minute later.
fn print_snapshot(minutes: &[Minute]) {
    let is_open = |minute: &Minute| minute.is_held;
    let (Some(first), Some(last)) =
        (minutes.iter().position(is_open), minutes.iter().rposition(is_open))
    else {
        return;
    };
    let most = |minutes: &[Minute]| minutes.iter().map(Minute::p99).fold(0.0, f64::max);
    let before = median(&minutes[..first]);
    let beside = most(&minutes[first..=last]);
    println!(
        "  p99 before the snapshot {before:.2} ms, beside it at most {beside:.2} ms: {:.2} times \
         (at most 3)",
        beside / before
    );
    if let Some(after) = minutes.get(last + 2..).filter(|after| !after.is_empty()) {
        let after = median(after);
        println!("  from a minute after it {after:.2} ms: {:.2} times", after / before);
    }
}

/// Prints the last quarter of the time beside the quarter before, without minutes of a snapshot.
fn print_levels(minutes: &[Minute]) {
    let free: Vec<_> = minutes.iter().filter(|minute| !minute.is_held).collect();
    let quarter = free.len() / 4;
    if quarter == 0 {
        return;
    }
    let (earlier, last) = free[free.len() - 2 * quarter..].split_at(quarter);
    let most = |minutes: &[&Minute], of: fn(&Minute) -> i64| {
        minutes.iter().map(|minute| of(minute)).max().unwrap_or_default()
    };
    let mib = |minutes| most(minutes, Minute::bytes) as f64 / f64::from(1 << 20);
    println!("  the quarter before the last, and the last quarter of the time:");
    let dead = |minutes| most(minutes, Minute::dead);
    println!("  at most {} and {} dead tuples", dead(earlier), dead(last));
    println!("  at most {:.1} and {:.1} MiB", mib(earlier), mib(last));
    let p99 = |minutes: &[&Minute]| median(minutes.iter().copied());
    println!("  p99 {:.2} and {:.2} ms", p99(earlier), p99(last));
}

/// Returns the median of the p99 of minutes, in milliseconds.
fn median<'a>(minutes: impl IntoIterator<Item = &'a Minute>) -> f64 {
    let mut values: Vec<_> = minutes.into_iter().map(Minute::p99).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
