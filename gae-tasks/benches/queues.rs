//! The cost of many queues, and how long one queue waits for another, on the SQLite backend.
//!
//! ```text
//! cargo bench -p gae-tasks --bench queues [-- ROUNDS [BACKLOG]]
//! ```
//!
//! Rounds are interleaved. A drain is compared with a drain of one queue in the same round; `defer`
//! is called while a worker is idle and each queue has a task scheduled for later. BACKLOG tasks of
//! one queue wait before ten of another.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gae_tasks::{Client, Defer, deferred};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const QUEUES: [usize; 3] = [1, 1_000, 5_000];

/// The number of tasks of a drain.
const TASKS: usize = 100_000;

/// The number of calls of `defer`, one after the other.
const CALLS: usize = 500;

static RUN: AtomicUsize = AtomicUsize::new(0);

/// The moments at which the tasks of the small queue began.
static BEGAN: Mutex<Vec<Instant>> = Mutex::new(Vec::new());

#[deferred]
async fn no_op(_user_id: u64, _to: String, _subject: String) {
    RUN.fetch_add(1, Ordering::Relaxed);
}

#[deferred]
async fn rest(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[deferred]
async fn small() {
    BEGAN.lock().unwrap().push(Instant::now());
}

fn call(queue: &str) -> Defer {
    no_op::defer(42, "someone@mail.example.org", "a subject that is forty characters long")
        .queue(queue)
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number =
        |default| arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(default);
    let (rounds, backlog) = (number(3), number(100_000));
    let runtime = Runtime::new().unwrap();
    let folder = std::env::temp_dir().join(format!("gae-tasks-queues-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut drains = QUEUES.map(|_| Vec::new());
    let mut defers = QUEUES.map(|_| Vec::new());
    let mut waits = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (place, queues) in QUEUES.into_iter().enumerate() {
            drains[place]
                .push(TASKS as f64 / runtime.block_on(drain(&folder, queues)).as_secs_f64());
            defers[place].push(runtime.block_on(defer(&folder, queues)).as_secs_f64() * 1e6);
        }
        waits[0].push(runtime.block_on(wait(&folder, backlog, 50, 0)).as_secs_f64() * 1e3);
        waits[1].push(runtime.block_on(wait(&folder, backlog, 16, 50)).as_secs_f64() * 1e3);
    }
    std::fs::remove_dir_all(folder).unwrap();
    println!("{rounds} interleaved rounds: the median (least to most)");
    for (place, queues) in QUEUES.into_iter().enumerate() {
        let ratios = |values: &[Vec<f64>; 3]| {
            values[place].iter().zip(&values[0]).map(|(own, one)| own / one).collect()
        };
        println!(
            "drain of {TASKS} over {queues} queues: {} tasks/s, {} times that of one",
            show(drains[place].clone(), 0),
            show(ratios(&drains), 2)
        );
        println!(
            "`defer` beside {queues} queues, p50: {} us, {} times that of one",
            show(defers[place].clone(), 0),
            show(ratios(&defers), 2)
        );
    }
    println!("ten tasks behind {backlog} of another queue, the last one starts after:");
    println!("    handlers that do nothing, concurrency 50: {} ms", show(waits[0].clone(), 1));
    println!("    handlers of 50 ms, concurrency 16: {} ms", show(waits[1].clone(), 1));
}

fn show(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (median, least, most) = (values[values.len() / 2], values[0], values[values.len() - 1]);
    format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
}

fn names(queues: usize) -> Vec<String> {
    (0..queues).map(|number| format!("queue-{number}")).collect()
}

async fn client(folder: &Path) -> Client {
    let file = |suffix| -> PathBuf { folder.join(format!("tasks.db{suffix}")) };
    ["", "-wal", "-shm"].into_iter().for_each(|suffix| _ = std::fs::remove_file(file(suffix)));
    Client::open(&format!("sqlite:{}", file("").display())).await.unwrap()
}

/// Starts a worker on these queues, which runs until the returned value is used.
fn start(
    client: &Client,
    queues: Vec<String>,
    concurrency: usize,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = client.worker().queues(queues).concurrency(concurrency).grace(Duration::ZERO);
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    (stop, tokio::spawn(async move { worker.await.unwrap() }))
}

async fn drain(folder: &Path, queues: usize) -> Duration {
    let (client, names) = (client(folder).await, names(queues));
    for first in (0..TASKS).step_by(1_000) {
        let calls = (first..first + 1_000).map(|number| call(&names[number % queues]));
        client.defer_many(calls).await.unwrap();
    }
    RUN.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    let (stop, worker) = start(&client, names, 50);
    while RUN.load(Ordering::Relaxed) < TASKS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while client.stats().await.unwrap().open() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = begun.elapsed();
    stop.send(()).unwrap();
    worker.await.unwrap();
    took
}

/// Returns the median time of a single `defer`.
async fn defer(folder: &Path, queues: usize) -> Duration {
    let (client, names) = (client(folder).await, names(queues));
    let later = Duration::from_secs(86_400);
    client.defer_many(names.iter().map(|name| call(name).after(later))).await.unwrap();
    let (stop, worker) = start(&client, names.clone(), 50);
    let mut times = Vec::new();
    for number in 0..CALLS {
        let begun = Instant::now();
        call(&names[number % queues]).on(&client).await.unwrap();
        times.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(()).unwrap();
    worker.await.unwrap();
    times.sort();
    times[CALLS / 2]
}

/// Returns the time from deferring ten tasks to the start of the last one, while a worker runs a
/// backlog of another queue.
async fn wait(folder: &Path, backlog: usize, concurrency: usize, milliseconds: u64) -> Duration {
    let client = client(folder).await;
    for _ in 0..backlog / 1_000 {
        let bulk = |_| {
            if milliseconds == 0 { call("bulk") } else { rest::defer(milliseconds).queue("bulk") }
        };
        client.defer_many((0..1_000).map(bulk)).await.unwrap();
    }
    let (stop, worker) = start(&client, vec!["bulk".to_owned(), "small".to_owned()], concurrency);
    // By now the worker runs the backlog at its usual rate.
    tokio::time::sleep(Duration::from_millis(if milliseconds == 0 { 100 } else { 2_000 })).await;
    BEGAN.lock().unwrap().clear();
    let begun = Instant::now();
    client.defer_many((0..10).map(|_| small::defer().queue("small"))).await.unwrap();
    while BEGAN.lock().unwrap().len() < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let last = BEGAN.lock().unwrap().iter().max().copied().unwrap();
    stop.send(()).unwrap();
    worker.await.unwrap();
    last.duration_since(begun)
}
