//! A disk that is full for a while: a private file system of some megabytes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gae_tasks_tests::chaos::obey;

use super::place::Place;
use super::stage::{Process, SECOND, Stage, until};

/// The variable with the folder of the small file system, set in the namespace of the file system.
const FOLDER: &str = "CHAOS_DISK";

/// The part of the disk that other programs use, and free later.
const MOST: usize = 24 * 1024 * 1024;

const CALLERS: usize = 4;

/// The leases, in seconds. Once there is room, the holder extends them within a third; the observer
/// takes them after a half. A busy machine delays the holder by no more than the difference.
const LEASE: f64 = 6.0;

const MOUNT: &str = r#"mount -t tmpfs -o size=32m tmpfs "$CHAOS_DISK" && exec "$@""#;

/// Commands that create a namespace in which file systems can be mounted, for a privileged user and
/// for others.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];

#[tokio::test]
async fn a_full_disk_is_told_of_and_loses_nothing() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return on_a_small_disk(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(namespace) =
        NAMESPACES.into_iter().find(|namespace| can_mount(namespace, folder.path()))
    else {
        // Written directly to stderr, because the test runner captures `eprintln!`.
        io::stderr()
            .write_all(b"NOT TESTED: a full disk; `unshare --mount` and `mount` are refused here\n")
            .unwrap();
        return;
    };
    let mut again = within(namespace, folder.path());
    again.arg(std::env::current_exe().unwrap());
    let thread = std::thread::current();
    again.args(["--exact", thread.name().expect("a test's thread has its name"), "--nocapture"]);
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn within(namespace: &[&str], folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(namespace).args(["sh", "-c", MOUNT, "sh"]).env(FOLDER, folder);
    command
}

fn can_mount(namespace: &[&str], folder: &Path) -> bool {
    within(namespace, folder).arg("true").output().is_ok_and(|output| output.status.success())
}

async fn on_a_small_disk(folder: &Path) {
    let stage = Stage::on(Place::in_folder(folder)).await;
    let orders = stage.orders("orders");
    let held: Vec<_> = (0..20).map(|_| obey::defer(orders.file()).queue("held")).collect();
    let held: Vec<_> = stage
        .tasks
        .defer_many(held)
        .await
        .unwrap()
        .into_iter()
        .map(|deferred| deferred.id)
        .collect();
    let mut holder = stage.worker().queues(&["held"]).lease(LEASE).start();
    stage.until_begun(&held, held.len()).await;
    // This worker sees the leases unchanged while no extension can be recorded.
    let mut observer = stage.worker().queues(&["observed"]).lease(LEASE).start();
    let filler = fill(folder, MOST);
    let mut producer = stage.producer().option("bytes", 20_000).option("callers", CALLERS).start();
    until("the first error", 20 * SECOND, async || failed(&producer) > 0).await;
    // There is no room even for a small change.
    fill(folder, usize::MAX);
    let before = failed(&producer);
    until("more errors", 5 * SECOND, async || failed(&producer) > before + 20).await;
    for line in producer.printed().iter().filter(|line| line.starts_with("failed")) {
        assert!(line.contains("finds no room for `") && line.contains("free space"), "{line}");
    }
    // The attempts end while there is no room to record their outcomes.
    orders.done();
    until("the end of what was in progress", 5 * SECOND, async || {
        held.iter().all(|task| stage.history().over(*task).0 == 1)
    })
    .await;
    tokio::time::sleep(Duration::from_secs_f64(LEASE) + 2 * SECOND).await;
    assert!(holder.ended().is_none(), "a full disk ends no worker");

    let stored = producer.stored().len();
    fs::remove_file(filler).unwrap();
    let mut worker = stage.worker().start();
    until("the next stored task", 10 * SECOND, async || producer.stored().len() > stored + 20)
        .await;
    producer.kill();
    stage.until_open(0, 30 * SECOND).await;
    let (history, stored) = (stage.history(), producer.stored());
    println!(
        "{} stored, {} refused, {} begun",
        stored.len(),
        failed(&producer),
        history.attempts.len()
    );
    history.assert_nothing_ran_beside_itself();
    assert!(stored.iter().all(|task| history.over(*task).0 > 0), "a stored task is lost");
    // The last calls of a killed producer may be stored without an acknowledgement; a refused call
    // must not be stored.
    assert!(
        history.attempts.len() <= held.len() + stored.len() + CALLERS,
        "refused tasks were stored"
    );
    let again = held.iter().find(|task| history.begun(**task) != 1);
    assert!(again.is_none(), "finished tasks ran again: {:?}", again.map(|task| history.of(*task)));
    assert!(holder.ended().is_none() && observer.ended().is_none() && worker.ended().is_none());
    let check: String =
        connection(&stage).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

fn connection(stage: &Stage) -> rusqlite::Connection {
    rusqlite::Connection::open(stage.place.database()).unwrap()
}

fn failed(producer: &Process) -> usize {
    producer.printed().iter().filter(|line| line.starts_with("failed")).count()
}

/// Fills `bytes` bytes of the free space.
fn fill(folder: &Path, bytes: usize) -> PathBuf {
    let path = folder.join(format!("filler-{bytes}"));
    let mut file = File::create(&path).unwrap();
    let mut written = 0;
    while written < bytes && file.write_all(&[0; 512]).is_ok() {
        written += 512;
    }
    path
}
