//! The latency of the embedded queue, from the call of `defer` to the handler's first line, in one
//! process with an idle worker, compared with one synced insert and one claim of bare SQL.
//!
//! ```text
//! cargo bench -p gae-tasks --bench latency [-- TASKS]
//! ```

#[path = "throughput/raw.rs"]
#[allow(dead_code)] // Another benchmark uses the rest.
mod raw;

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use gae_tasks::{Client, deferred};
use raw::Raw;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Receives the moment at which the handler began.
static BEGAN: Mutex<Option<UnboundedSender<Instant>>> = Mutex::new(None);

/// A pause before each call, so that the worker is idle again.
const PAUSE: Duration = Duration::from_millis(2);

#[deferred]
async fn note_start(_user_id: u64, _to: String, _subject: String) {
    let now = Instant::now();
    let began = BEGAN.lock().unwrap();
    began.as_ref().unwrap().send(now).unwrap();
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let tasks = arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(1_000);
    let folder = std::env::temp_dir().join(format!("gae-tasks-latency-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (mut raws, mut ours) = (Vec::new(), Vec::new());
    let mut raw = Raw::new(&folder, "FULL");
    let client = client(&folder).await;
    let (sender, mut began) = unbounded_channel();
    *BEGAN.lock().unwrap() = Some(sender);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = client.worker().with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    // Measured in turn, so that both see the same disk.
    for _ in 0..tasks {
        raws.push(raw_once(&mut raw));
        ours.push(our_once(&client, &mut began).await);
    }
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    drop(client);
    std::fs::remove_dir_all(folder).unwrap();
    raws.sort();
    ours.sort();
    println!("{tasks} tasks in turn; raw: one insert in a FULL commit, one claim in a NORMAL one");
    println!("{:<6} {:>10} {:>10}   ratio", "", "raw", "gae-tasks");
    for (name, part) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
        let at = |times: &[Duration]| times[(times.len() as f64 * part) as usize];
        let (raw, our) = (at(&raws), at(&ours));
        let (in_us, ratio) =
            (|time: Duration| time.as_micros(), our.as_secs_f64() / raw.as_secs_f64());
        println!("{name:<6} {:>7} us {:>7} us   {ratio:.2}", in_us(raw), in_us(our));
    }
}

async fn client(folder: &Path) -> Client {
    Client::open(&format!("sqlite:{}", folder.join("tasks.db").display())).await.unwrap()
}

fn raw_once(raw: &mut Raw) -> Duration {
    raw.synchronous("FULL");
    let begun = Instant::now();
    raw.insert_batch(1);
    let inserted = begun.elapsed();
    raw.synchronous("NORMAL");
    let begun = Instant::now();
    let claimed = raw.claim(1);
    let took = inserted + begun.elapsed();
    raw.delete(&claimed);
    took
}

async fn our_once(client: &Client, began: &mut UnboundedReceiver<Instant>) -> Duration {
    tokio::time::sleep(PAUSE).await;
    let begun = Instant::now();
    note_start::defer(42, "someone@mail.example.org", "a subject that is forty characters long")
        .on(client)
        .await
        .unwrap();
    began.recv().await.unwrap().duration_since(begun)
}
