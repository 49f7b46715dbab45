//! What schedules cost a worker while none of them is due, and how late the tasks of ticks start.
//!
//! ```text
//! cargo bench -p gae-tasks --features cron --bench schedules [-- SCHEDULES [MINUTES [SECONDS]]]
//! ```
//!
//! CPU time is that of all threads of the process, over SECONDS. Tasks start at full minutes, for
//! MINUTES, beside the schedules that are not due.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gae_tasks::{Client, Timestamp, deferred};
use tokio::sync::oneshot;

const MINUTE: Duration = Duration::from_secs(60);

/// How many schedules tick at each full minute.
const EACH_MINUTE: usize = 20;

/// How long after its tick each task has started.
static LATE: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

#[deferred]
async fn tick() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    LATE.lock().unwrap().push(Duration::from_micros((now.as_micros() % MINUTE.as_micros()) as u64));
}

#[tokio::main]
async fn main() {
    let mut numbers =
        std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let schedules = numbers.next().unwrap_or(10_000);
    let minutes = numbers.next().unwrap_or(3);
    let seconds = numbers.next().unwrap_or(30);
    let folder = std::env::temp_dir().join(format!("gae-tasks-schedules-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let client =
        Client::open(&format!("sqlite:{}", folder.join("tasks.db").display())).await.unwrap();
    measure(&client, schedules, minutes, seconds).await;
    drop(client);
    std::fs::remove_dir_all(folder).unwrap();
}

async fn measure(client: &Client, schedules: usize, minutes: usize, seconds: usize) {
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = client.worker().with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("a worker without schedules: {:.2} % of a core", cpu_of(seconds).await);

    let begun = Instant::now();
    // On 1 January, which is not while this runs.
    make(client, "yearly", "0 0 1 1 *", schedules).await;
    println!("{schedules} schedules are made, one by one: {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    while !all_wait(client).await {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "until the worker has their next ticks: another {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    println!("a worker with them, none due: {:.2} % of a core", cpu_of(seconds).await);

    make(client, "minutely", "* * * * *", EACH_MINUTE).await;
    while LATE.lock().unwrap().len() < EACH_MINUTE * minutes {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut late = std::mem::take(&mut *LATE.lock().unwrap());
    late.sort();
    let at = |place: usize| late[place].as_secs_f64() * 1e3;
    println!(
        "from the tick to the handler, {} ticks, {EACH_MINUTE} at a time: p50 {:.1} ms, longest \
         {:.1} ms",
        late.len(),
        at(late.len() / 2),
        at(late.len() - 1)
    );
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
}

async fn make(client: &Client, name: &str, cron: &str, schedules: usize) {
    for number in 0..schedules {
        let name = format!("{name}-{number}");
        client.schedule(name, cron.parse().unwrap(), tick::defer()).await.unwrap();
    }
}

/// Whether the next tick of every schedule is ahead.
async fn all_wait(client: &Client) -> bool {
    let now = Timestamp::from(SystemTime::now());
    let schedules = client.schedules().await.unwrap();
    schedules.iter().all(|schedule| schedule.next_tick.is_some_and(|next| next > now))
}

/// Returns the share of a core that this process uses over `seconds`, in percent.
async fn cpu_of(seconds: usize) -> f64 {
    let (before, begun) = (cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    (cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0
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
