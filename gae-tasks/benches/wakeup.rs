//! How soon a worker starts a task deferred by another process, and the worker's cost of waiting
//! for such tasks.
//!
//! ```text
//! cargo bench -p gae-tasks --bench wakeup [-- TASKS [SECONDS]]
//! ```
//!
//! This process is the worker and starts the others. CPU time is that of all threads of the worker,
//! over SECONDS.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gae_tasks::{Client, deferred};
use tokio::sync::oneshot;

/// The pause between two calls, so that the worker is idle again.
const PAUSE: Duration = Duration::from_millis(20);

static LATENCIES: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

/// `sent` is in nanoseconds since 1970.
#[deferred]
async fn tell(sent: u64) {
    let now = nanoseconds();
    LATENCIES.lock().unwrap().push(Duration::from_nanos(now.saturating_sub(sent)));
}

fn nanoseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[tokio::main]
async fn main() {
    let arguments: Vec<_> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [url, queue, calls, pause] = &arguments[..] {
        return produce(
            url,
            queue,
            calls.parse().unwrap(),
            Duration::from_micros(pause.parse().unwrap()),
        )
        .await;
    }
    let number = |place: usize, default| {
        arguments.get(place).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (tasks, seconds) = (number(0, 500), number(1, 20));
    let folder = std::env::temp_dir().join(format!("gae-tasks-wakeup-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    measure(&folder, tasks, seconds as u64).await;
    std::fs::remove_dir_all(folder).unwrap();
}

async fn measure(folder: &Path, tasks: usize, seconds: u64) {
    let url = format!("sqlite:{}", folder.join("tasks.db").display());
    let client = Client::open(&url).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = client.worker().with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    start(&url, "default", tasks, PAUSE).wait().unwrap();
    while LATENCIES.lock().unwrap().len() < tasks {
        tokio::time::sleep(PAUSE).await;
    }
    let mut latencies = std::mem::take(&mut *LATENCIES.lock().unwrap());
    latencies.sort();
    let at = |part: f64| latencies[(tasks as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        "from `defer` in one process to the handler in another, {tasks} times: p50 {:.1} ms, p99 \
         {:.1} ms",
        at(0.5),
        at(0.99)
    );
    println!("a worker that has nothing to do: {:.2} % of a core", cpu_of(seconds).await);
    let pause = Duration::from_millis(10);
    let mut other = start(&url, "elsewhere", seconds as usize * 120, pause);
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "beside a process that defers 100/s to a queue of others: {:.2} % of a core",
        cpu_of(seconds).await
    );
    other.kill().unwrap();
    other.wait().unwrap();
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
}

fn start(url: &str, queue: &str, calls: usize, pause: Duration) -> Child {
    let arguments =
        [url.to_owned(), queue.to_owned(), calls.to_string(), pause.as_micros().to_string()];
    Command::new(std::env::current_exe().unwrap()).args(arguments).spawn().unwrap()
}

async fn produce(url: &str, queue: &str, calls: usize, pause: Duration) {
    let client = Client::open(url).await.unwrap();
    for _ in 0..calls {
        tokio::time::sleep(pause).await;
        tell::defer(nanoseconds()).queue(queue).on(&client).await.unwrap();
    }
}

/// Returns the share of a core that this process uses over `seconds`, in percent.
async fn cpu_of(seconds: u64) -> f64 {
    let before = cpu();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    (cpu() - before).as_secs_f64() / seconds as f64 * 100.0
}

/// Returns the user and system time of all threads, as reported by Linux.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = |thread: std::io::Result<std::fs::DirEntry>| -> u64 {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        stat.split_whitespace().next().unwrap().parse().unwrap()
    };
    Duration::from_nanos(tasks.map(nanoseconds).sum())
}
