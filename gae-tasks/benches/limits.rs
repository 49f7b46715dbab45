//! What limits and unique tasks cost, on one storage, in the same run.
//!
//! ```text
//! cargo bench -p gae-tasks --bench limits [-- ROUNDS [URL]]
//! ```
//!
//! Rounds are interleaved. Each row is a ratio of rates: a drain of a queue with limits to a drain
//! of a queue without, and unique tasks to plain ones, stored by 50 callers. Without a URL each is
//! measured in a new SQLite file. A PostgreSQL database needs the feature `postgres`, and keeps the
//! tasks that are not drained.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gae_tasks::{Client, Defer, QueueConfig, Unique, deferred};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The number of tasks of a drain, and of the enqueues of all callers.
const TASKS: usize = 50_000;

const CALLERS: usize = 50;

/// More than any worker reaches.
const HIGH_RATE: f64 = 1_000_000.0;

static RUN: AtomicUsize = AtomicUsize::new(0);

#[deferred]
async fn no_op(_user_id: u64, _to: String, _subject: String) {
    RUN.fetch_add(1, Ordering::Relaxed);
}

fn call(number: usize) -> Defer {
    no_op::defer(number as u64, "someone@mail.example.org", "a subject of forty characters in all")
}

/// What is measured once a round: the rate in tasks/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Drain(Queue),
    Enqueue { unique: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queue {
    Plain,
    HighRate,
    ManyPlaces,
}

/// Each row beside the one that it is compared with.
const ROWS: [(&str, Row, Row); 3] = [
    ("drain, a rate far above the load", Row::Drain(Queue::HighRate), Row::Drain(Queue::Plain)),
    ("drain, 1,000 at a time", Row::Drain(Queue::ManyPlaces), Row::Drain(Queue::Plain)),
    ("unique, 50 callers", Row::Enqueue { unique: true }, Row::Enqueue { unique: false }),
];

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let rounds = arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(5);
    let folder = std::env::temp_dir().join(format!("gae-tasks-limits-{}", std::process::id()));
    let url = arguments.next();
    let mut ratios = ROWS.map(|_| Vec::new());
    let mut rates = ROWS.map(|_| Vec::new());
    for round in 0..rounds {
        for (place, (_, row, plain)) in ROWS.into_iter().enumerate() {
            let mut measured = Vec::new();
            for (turn, row) in [plain, row].into_iter().enumerate() {
                let own = folder.join(format!("{round}-{place}-{turn}"));
                std::fs::create_dir_all(&own).unwrap();
                let url = url.clone().unwrap_or(format!("sqlite:{}", own.join("t.db").display()));
                // Another process's queues of the same database are not drained.
                let queue = format!("limits-{}-{round}-{place}-{turn}", std::process::id());
                measured.push(row.rate(&Client::open(&url).await.unwrap(), &queue).await);
            }
            rates[place].push(measured[1]);
            ratios[place].push(measured[1] / measured[0]);
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
    println!("{rounds} interleaved rounds: the median (least to most)");
    for (place, (name, ..)) in ROWS.into_iter().enumerate() {
        let (rate, ratio) = (show(rates[place].clone(), 0), show(ratios[place].clone(), 2));
        println!("{name:<36} {rate} tasks/s, {ratio} times without");
    }
}

fn show(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (median, least, most) = (values[values.len() / 2], values[0], values[values.len() - 1]);
    format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
}

impl Row {
    async fn rate(self, client: &Client, queue: &str) -> f64 {
        let took = match self {
            Self::Drain(kind) => kind.drain(client, queue).await,
            Self::Enqueue { unique } => enqueue(client, queue, unique).await,
        };
        TASKS as f64 / took.as_secs_f64()
    }
}

impl Queue {
    fn config(self) -> QueueConfig {
        match self {
            Self::Plain => QueueConfig::new(),
            Self::HighRate => QueueConfig::new()
                .with_max_dispatches_per_second(HIGH_RATE)
                .with_max_burst_size(TASKS as u32),
            Self::ManyPlaces => QueueConfig::new().with_max_concurrent_dispatches(1_000),
        }
    }

    async fn drain(self, client: &Client, queue: &str) -> Duration {
        client.put_queue(queue, self.config()).await.unwrap();
        for first in (0..TASKS).step_by(1_000) {
            let calls = (first..first + 1_000).map(|number| call(number).queue(queue));
            client.defer_many(calls).await.unwrap();
        }
        RUN.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = client.worker().queues([queue]).concurrency(CALLERS);
        let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
        let worker = tokio::spawn(async move { worker.await.unwrap() });
        while RUN.load(Ordering::Relaxed) < TASKS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = begun.elapsed();
        stop.send(()).unwrap();
        worker.await.unwrap();
        took
    }
}

/// Each of the callers stores its share, one task after the other, each of which has its own key.
async fn enqueue(client: &Client, queue: &str, unique: bool) -> Duration {
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, queue) = (client.clone(), queue.to_owned());
        callers.spawn(async move {
            for number in 0..TASKS / CALLERS {
                let call = call(caller * TASKS + number).queue(&queue);
                let call = if unique { call.unique(Unique::by_args()) } else { call };
                call.on(&client).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    begun.elapsed()
}
