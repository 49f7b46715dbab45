//! The latency of a single `defer` beside processes that flood the same file, each with 50 callers.
//!
//! ```text
//! cargo bench -p gae-tasks --bench flood [-- SECONDS [FLOODERS]]
//! ```
//!
//! Without FLOODERS: beside no, one and two such processes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gae_tasks::{Client, deferred};
use tokio::runtime::Runtime;

/// The variable with the URL, set for the processes that flood.
const FLOODS: &str = "GAE_TASKS_BENCH_FLOODS";

const CALLERS: usize = 50;

/// The pause between two single calls.
const PAUSE: Duration = Duration::from_millis(20);

#[deferred]
async fn no_op(_user_id: u64, _to: String, _subject: String) {}

fn call() -> gae_tasks::Defer {
    no_op::defer(42, "someone@mail.example.org", "a subject that is forty characters long")
}

fn main() {
    if let Ok(url) = std::env::var(FLOODS) {
        return flood(&url);
    }
    // Cargo adds the option `--bench`.
    let arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let [seconds, flooders @ ..] = &*arguments.collect::<Vec<u64>>() else {
        return main_for(10, &[0, 1, 2]);
    };
    main_for(*seconds, if flooders.is_empty() { &[0, 1, 2] } else { flooders });
}

fn main_for(seconds: u64, flooders: &[u64]) {
    let folder = std::env::temp_dir().join(format!("gae-tasks-flood-{}", std::process::id()));
    println!("one `defer` each {PAUSE:?} for {seconds} s; the flood in tasks/s");
    println!(
        "{:<10} {:>6} {:>9} {:>9} {:>9} {:>9}   flood",
        "flooders", "calls", "median", "p99", "p99.9", "most"
    );
    for flooders in flooders {
        std::fs::create_dir_all(&folder).unwrap();
        measure(&folder, *flooders, Duration::from_secs(seconds));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

fn measure(folder: &Path, flooders: u64, how_long: Duration) {
    let url = format!("sqlite:{}", folder.join("tasks.db").display());
    let runtime = Runtime::new().unwrap();
    let client = runtime.block_on(Client::open(&url)).unwrap();
    let flooders: Vec<_> = (0..flooders).map(|_| start(&url)).collect();
    let mut took = runtime.block_on(single_calls(&client, how_long));
    took.sort();
    let rates: Vec<_> = flooders.into_iter().map(end).collect();
    let at = |part: f64| format!("{:.1?}", took[((took.len() - 1) as f64 * part) as usize]);
    let (calls, count) = (took.len(), rates.len());
    println!(
        "{count:<10} {calls:>6} {:>9} {:>9} {:>9} {:>9}   {rates:?}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

async fn single_calls(client: &Client, how_long: Duration) -> Vec<Duration> {
    let (begun, mut took) = (Instant::now(), Vec::new());
    while begun.elapsed() < how_long {
        let called = Instant::now();
        call().on(client).await.unwrap();
        took.push(called.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    took
}

/// Starts a process that floods, and waits until it does.
fn start(url: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child =
        command.env(FLOODS, url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(1, child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "flooding\n");
    child
}

/// Ends a process that floods, and returns its rate.
fn end(mut child: Child) -> u64 {
    drop(child.stdin.take());
    let mut rate = String::new();
    child.stdout.as_mut().unwrap().read_to_string(&mut rate).unwrap();
    child.wait().unwrap();
    rate.trim().parse().unwrap()
}

/// Defers until standard input closes, and prints the rate.
fn flood(url: &str) {
    static STORED: AtomicUsize = AtomicUsize::new(0);
    let runtime = Runtime::new().unwrap();
    let client = runtime.block_on(Client::open(url)).unwrap();
    for _ in 0..CALLERS {
        let client = client.clone();
        runtime.spawn(async move {
            loop {
                call().on(&client).await.unwrap();
                STORED.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    println!("flooding");
    let begun = Instant::now();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    println!("{:.0}", STORED.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64());
    std::process::exit(0);
}
