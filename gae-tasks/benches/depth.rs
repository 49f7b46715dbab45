//! The cost of a large queue: a lease with many waiting tasks, or with many tasks at the head that
//! the worker cannot run; the memory of a worker, the CPU time of an idle worker, and a drain of
//! the memory backend.
//!
//! ```text
//! cargo bench -p gae-tasks --bench depth [-- TASKS]
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gae_tasks::backend::sqlite::Sqlite;
use gae_tasks::backend::{Backend, Enqueue, Lease, NewTask, Pull, Room, Routes};
use gae_tasks::{
    Client, Kind, Now, QueueName, Route, Schedule, Shape, Task, TaskId, TaskSpec, Timestamp,
    deferred,
};

/// The number of tasks in the queue that the deep queue is compared with.
const SHALLOW: usize = 10_000;

/// The tasks of a lease, and the number of timed leases.
const EACH: usize = 100;
const LEASES: usize = 60;

/// The number of tasks that have run.
static RUN: AtomicUsize = AtomicUsize::new(0);

#[deferred]
async fn no_op(_user_id: u64, _to: String, _subject: String) {
    RUN.fetch_add(1, Ordering::Relaxed);
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    if first.as_deref() == Some("worker") {
        return work(&arguments.next().unwrap(), arguments.next().unwrap().parse().unwrap()).await;
    }
    let deep = first.and_then(|tasks| tasks.parse().ok()).unwrap_or(1_000_000);
    let folder = std::env::temp_dir().join(format!("gae-tasks-depth-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let shallow = lease_cost(&filled(&folder, "shallow", SHALLOW, 0).await).await;
    let waiting = filled(&folder, "waiting", deep, 0).await;
    let unroutable = filled(&folder, "unroutable", SHALLOW, deep).await;
    println!("median of {LEASES} leases of {EACH} tasks");
    print("waiting", SHALLOW, shallow, shallow);
    print("waiting", deep, lease_cost(&waiting).await, shallow);
    print("unroutable at the head", deep, lease_cost(&unroutable).await, shallow);
    drop((waiting, unroutable));
    watch("a worker over the waiting tasks", &folder.join("waiting.db"), 8);
    watch("an idle worker", &folder.join("idle.db"), 20);
    std::fs::remove_dir_all(folder).unwrap();
    let ratios: Vec<_> = {
        let mut ratios = Vec::new();
        for _ in 0..5 {
            let few = drained(10_000).await;
            ratios.push(few.as_secs_f64() / drained(300_000).await.as_secs_f64());
        }
        ratios.sort_by(f64::total_cmp);
        ratios
    };
    println!(
        "memory backend, tasks/s of 300000 against 10000: {:.2} ({:.2} to {:.2})",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

/// Returns the time that the memory backend takes per task in a drain of `tasks` tasks.
async fn drained(tasks: usize) -> Duration {
    let client = Client::open("memory:").await.unwrap();
    let call =
        || no_op::defer(42, "someone@mail.example.org", "a subject that is forty characters long");
    for _ in 0..tasks / 1_000 {
        client.defer_many((0..1_000).map(|_| call())).await.unwrap();
    }
    RUN.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    let all_have_run = async move {
        while RUN.load(Ordering::Relaxed) < tasks {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    client.worker().with_graceful_shutdown(all_have_run).await.unwrap();
    begun.elapsed() / u32::try_from(tasks).unwrap()
}

fn print(what: &str, tasks: usize, cost: Duration, shallow: Duration) {
    let ratio = cost.as_secs_f64() / shallow.as_secs_f64();
    println!("{tasks:>9} {what:<24} {:>6} us   {ratio:.2}", cost.as_micros());
}

/// Creates a file with runnable tasks behind unroutable ones.
async fn filled(folder: &Path, name: &str, tasks: usize, unroutable: usize) -> Sqlite {
    let sqlite = Sqlite::open(folder.join(format!("{name}.db"))).await.unwrap();
    let shape = no_op::registration().shape().unwrap();
    for (kind, from, count) in [("nobody/knows", 0, unroutable), (no_op::KIND, unroutable, tasks)] {
        for first in (from..from + count).step_by(1_000) {
            let tasks = (first..first + 1_000).map(|number| task(number, kind, shape)).collect();
            sqlite.enqueue(Enqueue::new(Now::Storage, tasks)).await.unwrap();
        }
    }
    sqlite
}

fn task(number: usize, kind: &'static str, shape: Shape) -> NewTask {
    let payload =
        b"\x2a\x18someone@mail.example.org\x27a subject that is forty characters long".to_vec();
    let id = TaskId::from_bytes((number as u128).to_be_bytes());
    NewTask::new(
        TaskSpec::new(id, Kind::new(kind).unwrap(), shape, QueueName::DEFAULT),
        payload,
        *b"schema",
    )
    .with(|task| task.schedule = Schedule::At(Timestamp::from_micros(number as i64)))
}

async fn lease_cost(sqlite: &Sqlite) -> Duration {
    let routes = BTreeSet::from([Route::new(
        Kind::new(no_op::KIND).unwrap(),
        no_op::registration().shape().unwrap(),
    )]);
    let (queues, routes) = (Arc::new([QueueName::DEFAULT].into()), Routes::Only(Arc::new(routes)));
    let request =
        Lease::new(Now::Storage, queues, routes, Room::new(EACH), Duration::from_secs(600));
    let mut times = Vec::new();
    for _ in 0..LEASES {
        let begun = Instant::now();
        let leased = sqlite.lease(request.clone()).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(leased.tasks.len(), EACH);
    }
    times.sort();
    times[LEASES / 2]
}

/// Runs a worker on the file in its own process for `seconds`; the process prints its measurements
/// at the end.
fn watch(what: &str, file: &Path, seconds: u64) {
    println!("{what}:");
    let this = std::env::current_exe().unwrap();
    let status = Command::new(this)
        .args(["worker", file.to_str().unwrap(), &seconds.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

async fn work(file: &str, seconds: u64) {
    let client = Client::open(&format!("sqlite:{file}")).await.unwrap();
    let before = client.stats().await.unwrap().open();
    // The start is not part of an idle worker's cost.
    let worker = tokio::spawn(
        client
            .worker()
            .with_graceful_shutdown(tokio::time::sleep(Duration::from_secs(seconds)))
            .into_future(),
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (ticks, written) = (cpu_ticks(), proc("io", "write_bytes:"));
    let begun = Instant::now();
    worker.await.unwrap().unwrap();
    let (ticks, written) = (cpu_ticks() - ticks, proc("io", "write_bytes:") - written);
    // Linux reports 100 ticks a second on every current machine.
    let cpu = ticks as f64 / begun.elapsed().as_secs_f64();
    let run = before - client.stats().await.unwrap().open();
    let peak = proc("status", "VmHWM:") as f64 / 1024.0;
    println!(
        "{run} tasks run, peak of {peak:.0} MiB resident, {cpu:.2} % of a core, {written} bytes \
         written"
    );
}

/// Returns a number that the kernel reports for this process.
fn proc(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| {
        fields.get(place).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default()
    };
    ticks(11) + ticks(12)
}
