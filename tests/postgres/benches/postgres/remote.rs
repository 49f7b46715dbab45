//! A worker in a process of its own: this program once more, which tells how late each task began.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, io, thread};

use gae_tasks::{BoxError, Client, Defer, Task, deferred};
use tokio::sync::{mpsc, oneshot};

use crate::load::{CONCURRENCY, TEXTS};

/// The first argument of the program if it is the worker; the second is the URL of the queue.
pub(crate) const VERB: &str = "worker";

/// `sent` is in nanoseconds since 1970: all processes have the same clock.
#[deferred(queue = "bench-told")]
async fn tell(sent: u64, _to: String, _subject: String) {
    println!("{}", nanoseconds().saturating_sub(sent));
}

/// Returns a task whose latency the worker tells, from now on until the handler begins.
pub(crate) fn call() -> Defer {
    let [to, subject] = TEXTS;
    tell::defer(nanoseconds(), to, subject)
}

fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Works until the input ends, which happens when the program that started this one stops it or
/// ends itself.
pub(crate) async fn work(url: &str) -> Result<(), BoxError> {
    let client = Client::open(url).await?;
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        // Nothing is written to it, and an error is its end too.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    let worker = client.worker().queues([tell::QUEUE]).concurrency(CONCURRENCY);
    let worker = worker.with_graceful_shutdown(async move {
        let _ = end.await;
    });
    Ok(worker.await?)
}

/// A worker that runs in another process until this value is dropped.
#[derive(Debug)]
pub(crate) struct Remote {
    child: Child,
    latencies: mpsc::UnboundedReceiver<Duration>,
}

impl Remote {
    pub(crate) fn start(url: &str) -> Result<Self, BoxError> {
        let mut command = Command::new(env::current_exe()?);
        command.args([VERB, url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output = child.stdout.take().expect("it is piped");
        let (told, latencies) = mpsc::unbounded_channel();
        thread::spawn(move || listen(output, &told));
        Ok(Self { child, latencies })
    }

    /// Returns the latency of the next task that has begun.
    pub(crate) async fn latency(&mut self) -> Result<Duration, BoxError> {
        Ok(self.latencies.recv().await.ok_or("the worker has ended by itself")?)
    }

    /// Stops the worker, and waits for its end.
    pub(crate) fn stop(mut self) -> Result<(), BoxError> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the worker: {status}").into()) }
    }
}

/// Passes on the latencies that the worker prints, until it ends.
fn listen(output: ChildStdout, told: &mpsc::UnboundedSender<Duration>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if let Ok(nanoseconds) = line.parse::<u64>()
            && told.send(Duration::from_nanos(nanoseconds)).is_err()
        {
            return;
        }
    }
}
