//! The throughput of the embedded queue compared with bare SQL, both measured in the same run.
//!
//! ```text
//! cargo bench -p gae-tasks --bench throughput [-- ROUNDS [PART OF A ROW'S NAME]]
//! ```
//!
//! Every row is a ratio to a loop of bare SQL ([`raw`]): the statements of the backend on its own
//! tables, in a file of the same folder. Rounds are interleaved, and the result is the median of
//! the ratios.

mod raw;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gae_tasks::{Client, deferred};
use raw::Raw;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// The number of tasks that have run, so that the storage is only queried towards the end.
static RUN: AtomicUsize = AtomicUsize::new(0);

#[deferred]
async fn no_op(_user_id: u64, _to: String, _subject: String) {
    RUN.fetch_add(1, Ordering::Relaxed);
}

fn call() -> gae_tasks::Defer {
    no_op::defer(42, "someone@mail.example.org", "a subject that is forty characters long")
}

fn main() {
    // Cargo adds the option `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let rounds = arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(3);
    let wanted = arguments.next().unwrap_or_default();
    let runtime = Runtime::new().unwrap();
    let folder = std::env::temp_dir().join(format!("gae-tasks-throughput-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    println!("medians of {rounds} interleaved rounds; rates are tasks/s");
    println!("{:<54} {:>10} {:>10}   ratio (least to most)", "", "raw", "gae-tasks");
    for row in rows().iter().filter(|row| row.name.contains(&wanted)) {
        row.print(&runtime, &folder, rounds);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// One row of the table.
struct Row {
    name: String,
    tasks: usize,
    raw: Box<RawLoop>,
    ours: Box<OurLoop>,
}

/// Processes tasks in a file of the folder and returns the time taken.
type RawLoop = dyn Fn(&Path, usize) -> Duration;
type OurLoop = dyn Fn(&Runtime, &Path, usize) -> Duration;

fn rows() -> Vec<Row> {
    let mut rows = vec![
        wait_row(5_000),
        enqueue_row(5_000, 1),
        enqueue_row(100_000, 50),
        enqueue_row(100_000, 1_000),
        many_row(100_000, 1_000),
    ];
    rows.extend([20_000, 100_000, 1_000_000].map(|tasks| Row {
        name: format!("drain {tasks}: claim 100, delete 100, NORMAL"),
        tasks,
        raw: Box::new(|folder, tasks| {
            let mut raw = Raw::new(folder, "NORMAL");
            raw.insert(tasks, 1000);
            raw.drain(100)
        }),
        ours: Box::new(|runtime, folder, tasks| runtime.block_on(drain(folder, tasks))),
    }));
    rows.push(Row {
        name: "end to end: 50 FULL, claim 50, delete 50 NORMAL".to_owned(),
        tasks: 100_000,
        raw: Box::new(raw_end_to_end),
        ours: Box::new(|runtime, folder, tasks| runtime.block_on(end_to_end(folder, tasks))),
    });
    rows
}

fn enqueue_row(tasks: usize, callers: usize) -> Row {
    Row {
        name: format!("{callers} callers of defer, .await: {callers} rows a FULL commit"),
        tasks,
        raw: Box::new(move |folder, tasks| Raw::new(folder, "FULL").insert(tasks, callers)),
        ours: Box::new(move |runtime, folder, tasks| {
            runtime.block_on(enqueue(folder, tasks, callers))
        }),
    }
}

/// The row of one caller that blocks its thread.
fn wait_row(tasks: usize) -> Row {
    Row {
        name: "1 caller of defer, .wait(): 1 row a FULL commit".to_owned(),
        tasks,
        raw: Box::new(|folder, tasks| Raw::new(folder, "FULL").insert(tasks, 1)),
        ours: Box::new(|runtime, folder, tasks| {
            let client = runtime.block_on(client(folder));
            let begun = Instant::now();
            (0..tasks).for_each(|_| _ = call().on(&client).wait().unwrap());
            begun.elapsed()
        }),
    }
}

/// The row of one caller that defers `many` tasks at a time.
fn many_row(tasks: usize, many: usize) -> Row {
    Row {
        name: format!("{many} a call of defer_many: {many} rows a FULL commit"),
        tasks,
        raw: Box::new(move |folder, tasks| Raw::new(folder, "FULL").insert(tasks, many)),
        ours: Box::new(move |runtime, folder, tasks| {
            runtime.block_on(async {
                let client = client(folder).await;
                let begun = Instant::now();
                for _ in 0..tasks / many {
                    client.defer_many((0..many).map(|_| call())).await.unwrap();
                }
                begun.elapsed()
            })
        }),
    }
}

impl Row {
    fn print(&self, runtime: &Runtime, folder: &Path, rounds: usize) {
        let (mut raws, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let raw = self.rate((self.raw)(folder, self.tasks));
            let our = self.rate((self.ours)(runtime, folder, self.tasks));
            raws.push(raw);
            ours.push(our);
            ratios.push(our / raw);
        }
        let (raw, our, ratio) = (median(&mut raws), median(&mut ours), median(&mut ratios));
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        println!(
            "{:<54} {raw:>10.0} {our:>10.0}   {ratio:.2} ({least:.2} to {most:.2})",
            self.name
        );
    }

    fn rate(&self, took: Duration) -> f64 {
        self.tasks as f64 / took.as_secs_f64()
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn client(folder: &Path) -> Client {
    for suffix in ["", "-wal", "-shm"] {
        _ = std::fs::remove_file(folder.join(format!("tasks.db{suffix}")));
    }
    Client::open(&format!("sqlite:{}", folder.join("tasks.db").display())).await.unwrap()
}

/// Spawns `callers` callers, each of which defers one task after the other.
async fn enqueue(folder: &Path, tasks: usize, callers: usize) -> Duration {
    let client = client(folder).await;
    let begun = Instant::now();
    start_callers(&client, tasks, callers).join_all().await;
    begun.elapsed()
}

fn start_callers(client: &Client, tasks: usize, callers: usize) -> JoinSet<()> {
    let mut set = JoinSet::new();
    for _ in 0..callers {
        let client = client.clone();
        set.spawn(async move {
            for _ in 0..tasks / callers {
                call().on(&client).await.unwrap();
            }
        });
    }
    set
}

/// Runs one worker until the storage has no task left.
async fn drain(folder: &Path, tasks: usize) -> Duration {
    let client = client(folder).await;
    for _ in 0..tasks / 1000 {
        client.defer_many((0..1000).map(|_| call())).await.unwrap();
    }
    work_while(&client, tasks, async {}).await
}

/// Runs a worker until `producing` has ended and no task is left, and returns the time taken.
async fn work_while(
    client: &Client,
    tasks: usize,
    producing: impl Future<Output = ()>,
) -> Duration {
    RUN.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    let (done, ended) = tokio::sync::oneshot::channel::<()>();
    let worker = client.worker().with_graceful_shutdown(async move { _ = ended.await });
    let worker = tokio::spawn(worker.into_future());
    producing.await;
    nothing_left(client.clone(), tasks).await;
    let took = begun.elapsed();
    done.send(()).unwrap();
    worker.await.unwrap().unwrap();
    took
}

/// The row of 50 callers and one worker at the same time.
async fn end_to_end(folder: &Path, tasks: usize) -> Duration {
    let client = client(folder).await;
    let producers = start_callers(&client, tasks, 50);
    let producing = async {
        producers.join_all().await;
    };
    work_while(&client, tasks, producing).await
}

async fn nothing_left(client: Client, tasks: usize) {
    while RUN.load(Ordering::Relaxed) < tasks {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while client.stats().await.unwrap().open() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn raw_end_to_end(folder: &Path, tasks: usize) -> Duration {
    let mut raw = Raw::new(folder, "FULL");
    let begun = Instant::now();
    for _ in 0..tasks / 50 {
        raw.synchronous("FULL");
        raw.insert_batch(50);
        raw.synchronous("NORMAL");
        let claimed = raw.claim(50);
        raw.delete(&claimed);
    }
    begun.elapsed()
}
