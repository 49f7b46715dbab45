//! `defer` in a runtime: the runtime's threads never access the file, so a locked file blocks no
//! other future.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use gae_tasks::{Client, deferred};

const HELD: Duration = Duration::from_secs(2);

const TICK: Duration = Duration::from_millis(10);

#[deferred]
async fn no_op() {}

/// Another program holds the write lock for two seconds.
#[test]
fn a_file_that_is_locked_stops_no_timer_of_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(Client::open(&format!("sqlite:{}", file.display()))).unwrap();
    let (locked, has_locked) = mpsc::channel();
    let other = thread::spawn(move || {
        let other = rusqlite::Connection::open(file).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        locked.send(()).unwrap();
        thread::sleep(HELD);
        other.execute_batch("COMMIT").unwrap();
    });
    has_locked.recv().unwrap();
    let (ticks, longest) = runtime.block_on(async {
        let deferring = tokio::spawn(no_op::defer().on(&client).into_future());
        let (mut ticks, mut longest, mut last) = (0, Duration::ZERO, Instant::now());
        while !deferring.is_finished() {
            tokio::time::sleep(TICK).await;
            (ticks, longest, last) = (ticks + 1, longest.max(last.elapsed()), Instant::now());
        }
        assert!(deferring.await.unwrap().unwrap().created);
        (ticks, longest)
    });
    other.join().unwrap();
    assert!(longest < HELD / 2, "the runtime was blocked for {longest:?}");
    assert!(ticks > 20, "{ticks} ticks");
}
