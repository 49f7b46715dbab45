//! Several processes on one file: fresh, killed and signalled ones.
#![cfg(all(feature = "sqlite", unix))]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gae_tasks::{Cancelled, Client, QueueConfig, TaskState, deferred};
use tempfile::TempDir;

/// Tasks with the kinds and parameters of the other process's tasks, whose functions are in a crate
/// that only `link!` names there.
#[deferred(queue = "linked", name = "gae_tasks_tests_linked.reports/write_report")]
fn write_report(file: String, text: String) {
    drop((file, text));
}

#[deferred(queue = "linked", name = "gae_tasks_tests_linked.reports/write_and_hang")]
fn write_and_hang(file: String) {
    drop(file);
}

#[deferred(queue = "linked", name = "gae_tasks_tests_linked.reports/write_and_heed")]
fn write_and_heed(file: String) {
    drop(file);
}

#[deferred(queue = "linked", name = "gae_tasks_tests_linked.reports/block_the_runtime")]
fn block_the_runtime() {}

#[deferred(queue = "linked", name = "gae_tasks_tests_linked.reports/fail")]
fn fail() {}

struct Stage {
    folder: TempDir,
    url: String,
    tasks: Client,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
        let tasks = Client::open(&url).await.unwrap();
        Self { folder, url, tasks }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn instance(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_instance"));
        command.args([verb, &self.url]).stdout(Stdio::piped());
        command
    }

    fn work(&self) -> Process {
        self.start("work")
    }

    fn start(&self, verb: &str) -> Process {
        Process(self.instance(verb).stdin(Stdio::piped()).spawn().unwrap())
    }
}

/// A process, killed on drop.
struct Process(Child);

impl Process {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Reads the process's output up to a line that contains `expected`.
    fn until_it_says(&mut self, expected: &str) {
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
        assert!(
            lines.any(|line| line.contains(expected)),
            "the process never printed `{expected}`"
        );
    }

    /// Waits for the end, and returns the exit code, or `None` after a signal.
    async fn code(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "the process does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

#[tokio::test]
async fn a_fresh_process_runs_a_task_as_the_first_thing_it_does() {
    let stage = Stage::new().await;
    let file = stage.file("report");
    write_report::defer(&file, "from another process").on(&stage.tasks).await.unwrap();
    let output = stage.instance("drain").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "from another process");
}

#[tokio::test]
async fn the_url_comes_from_the_environment() {
    let stage = Stage::new().await;
    write_report::defer(stage.file("report"), "x").on(&stage.tasks).await.unwrap();
    let mut drain = Command::new(env!("CARGO_BIN_EXE_instance"));
    let output = drain.arg("drain").env("GAE_TASKS_URL", &stage.url).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
    let elsewhere =
        drain.env_remove("GAE_TASKS_URL").current_dir(stage.folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&elsewhere.stdout), "0\n");
    assert!(
        stage.folder.path().join("gae-tasks.db").exists(),
        "the default is a file in the current folder"
    );
}

#[tokio::test]
async fn the_tasks_of_a_killed_process_go_on_at_once_in_another() {
    let stage = Stage::new().await;
    let file = stage.file("begun");
    let id = write_and_hang::defer(&file).on(&stage.tasks).await.unwrap().id;
    let first = stage.work();
    until("the first attempt", async || Path::new(&file).exists()).await;
    drop(first);
    std::fs::remove_file(&file).unwrap();
    let _second = stage.work();
    let waited = until("the second attempt", async || Path::new(&file).exists()).await;
    println!("a new process took {waited:?}");
    assert!(waited < Duration::from_secs(10), "it waited {waited:?}: for the lease of 30 s?");
    let record = stage.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((record.lost_leases, record.attempts), (1, 0), "the first loss only marks a task");
}

#[tokio::test]
async fn the_place_of_a_killed_process_in_its_queue_is_free_again() {
    let stage = Stage::new().await;
    let one = QueueConfig::new().with_max_concurrent_dispatches(1);
    stage.tasks.put_queue("linked", one).await.unwrap();
    let files = ["one", "other"].map(|name| stage.file(name));
    stage.tasks.defer_many(files.iter().map(write_and_hang::defer)).await.unwrap();
    let begun = || files.iter().filter(|file| Path::new(file).exists()).count();
    let first = stage.work();
    until("the first attempt", async || begun() == 1).await;
    files.iter().for_each(|file| _ = std::fs::remove_file(file));
    let _second = stage.work();
    drop(first);
    let waited = until("another attempt", async || begun() > 0).await;
    assert!(waited < Duration::from_secs(10), "it waited {waited:?}: for the lease of 30 s?");
    assert_eq!((begun(), stage.tasks.stats().await.unwrap().leased), (1, 1));
}

#[tokio::test]
async fn a_process_beside_a_killed_one_takes_over_at_once() {
    let stage = Stage::new().await;
    // Ten more tasks than one process runs at a time, so that the second process has some of them,
    // and room for more.
    let files: Vec<_> = (0..60).map(|number| stage.file(&number.to_string())).collect();
    stage.tasks.defer_many(files.iter().map(write_and_hang::defer)).await.unwrap();
    let exists = |file: &String| Path::new(file).exists();
    let first = stage.work();
    until("the first's attempts", async || files.iter().filter(|file| exists(file)).count() == 50)
        .await;
    let _second = stage.work();
    until("every first attempt", async || files.iter().all(&exists)).await;
    files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    drop(first);
    let waited = until("a second attempt", async || files.iter().any(&exists)).await;
    println!("the other process took {waited:?}");
    assert!(waited < Duration::from_secs(10), "it waited {waited:?}: for the lease of 30 s?");
}

#[tokio::test]
async fn a_task_that_another_process_cancels_is_told_within_a_second() {
    let stage = Stage::new().await;
    let file = stage.file("life");
    let says = |text: &str| std::fs::read_to_string(&file).is_ok_and(|life| life == text);
    let id = write_and_heed::defer(&file).on(&stage.tasks).await.unwrap().id;
    let _worker = stage.work();
    until("the attempt", async || says("begun")).await;
    assert_eq!(stage.tasks.cancel(id).await.unwrap(), Cancelled::Requested);
    let waited = until("the cancellation", async || says("cancelled")).await;
    println!("the other process took {waited:?}");
    // With some time for a busy machine.
    assert!(waited < Duration::from_millis(1_500), "{waited:?}");
    until("the end", async || stage.tasks.get(id).await.unwrap().is_none()).await;
}

#[tokio::test]
async fn a_cancelled_task_of_a_killed_process_is_not_attempted_again() {
    let stage = Stage::new().await;
    let file = stage.file("begun");
    let id = write_and_hang::defer(&file).on(&stage.tasks).await.unwrap().id;
    let first = stage.work();
    until("the first attempt", async || Path::new(&file).exists()).await;
    assert_eq!(stage.tasks.cancel(id).await.unwrap(), Cancelled::Requested);
    drop(first);
    std::fs::remove_file(&file).unwrap();
    let _second = stage.work();
    let is_dead = async || stage.tasks.get(id).await.unwrap().unwrap().state == TaskState::Dead;
    until("the dead letter", is_dead).await;
    // The second process runs what it may run.
    write_report::defer(stage.file("report"), "x").on(&stage.tasks).await.unwrap();
    until("the report", async || stage.tasks.stats().await.unwrap().open() == 0).await;
    assert!(!Path::new(&file).exists(), "it was attempted again");
    let record = stage.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((record.lost_leases, record.attempts), (1, 0));
    assert!(record.errors[0].message.starts_with("the task was cancelled"), "{record:?}");
}

#[tokio::test]
async fn a_process_that_is_told_to_end_gives_its_tasks_back_in_time() {
    let stage = Stage::new().await;
    let file = stage.file("report");
    let mut worker = stage.work();
    write_report::defer(&file, "x").on(&stage.tasks).await.unwrap();
    until("the report", async || stage.tasks.stats().await.unwrap().open() == 0).await;
    worker.signal("-TERM");
    until("the end of the process", async || worker_ended(&stage).await).await;
    assert!(worker.0.wait().unwrap().success());
    assert!(Path::new(&file).exists());
}

/// The second signal may follow the first at once, and be of another kind.
#[tokio::test]
async fn a_second_signal_ends_a_process_that_waits_for_a_task() {
    for second in ["-TERM", "-INT"] {
        let stage = Stage::new().await;
        write_and_hang::defer(stage.file("begun")).on(&stage.tasks).await.unwrap();
        let mut worker = stage.work();
        worker.until_it_says("begun");
        worker.signal("-TERM");
        // The system merges signals of one kind until the first is received.
        if second == "-TERM" {
            worker.until_it_says("shutting down");
        }
        worker.signal(second);
        assert_eq!(worker.code().await, Some(130), "{second}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_process_whose_runtime_is_blocked() {
    let stage = Stage::new().await;
    block_the_runtime::defer().on(&stage.tasks).await.unwrap();
    let mut worker = stage.work();
    worker.until_it_says("begun");
    worker.signal("-TERM");
    worker.signal("-INT");
    assert_eq!(worker.code().await, Some(130));
}

#[tokio::test]
async fn a_signal_is_heard_before_there_is_a_runtime() {
    let stage = Stage::new().await;
    let mut worker = stage.start("listen");
    worker.until_it_says("listening");
    worker.signal("-TERM");
    drop(worker.0.stdin.take());
    worker.until_it_says("shutting down");
    assert_eq!(worker.code().await, Some(0));
}

#[tokio::test]
async fn one_signal_tells_all_workers_of_a_process() {
    let stage = Stage::new().await;
    let mut workers = stage.start("two");
    workers.until_it_says("listening");
    workers.signal("-INT");
    assert_eq!(workers.code().await, Some(0));
}

#[tokio::test]
async fn a_signal_that_nobody_waits_for_ends_the_process() {
    let stage = Stage::new().await;
    let mut process = stage.start("deaf");
    process.until_it_says("listening");
    process.signal("-TERM");
    assert_eq!(process.code().await, Some(130));
}

/// Logging to a closed pipe panics at every line.
#[tokio::test]
async fn a_log_that_cannot_be_written_changes_nothing() {
    let stage = Stage::new().await;
    let mut worker = Process(stage.instance("log").stderr(Stdio::piped()).spawn().unwrap());
    drop(worker.0.stderr.take());
    let failed = fail::defer().on(&stage.tasks).await.unwrap().id;
    let file = stage.file("report");
    write_report::defer(&file, "x").on(&stage.tasks).await.unwrap();
    let is_dead = async || stage.tasks.get(failed).await.unwrap().unwrap().state == TaskState::Dead;
    until("the second failure", is_dead).await;
    until("the report", async || stage.tasks.stats().await.unwrap().open() == 0).await;
    worker.signal("-TERM");
    assert_eq!(worker.code().await, Some(0));
    assert_eq!(stage.tasks.get(failed).await.unwrap().unwrap().attempts, 2);
}

#[tokio::test]
async fn workers_with_the_same_settings_do_not_take_each_other_for_themselves() {
    let stage = Stage::new().await;
    let file = stage.file("begun");
    let (first, second) = (stage.work(), stage.work());
    let id = write_and_hang::defer(&file).on(&stage.tasks).await.unwrap().id;
    let holder = || std::fs::read_to_string(&file).unwrap_or_default();
    until("the first attempt", async || !holder().is_empty()).await;
    let (dies, lives) =
        if holder() == first.0.id().to_string() { (first, second) } else { (second, first) };
    assert_eq!(holder(), dies.0.id().to_string());
    drop(dies);
    let waited = until("the second attempt", async || holder() == lives.0.id().to_string()).await;
    assert!(waited < Duration::from_secs(10), "it waited {waited:?}: for the lease of 30 s?");
    assert_eq!(stage.tasks.get(id).await.unwrap().unwrap().lost_leases, 1);
}

/// Whether no other process has the file open: the lock file of its session is gone.
async fn worker_ended(stage: &Stage) -> bool {
    let entries = std::fs::read_dir(stage.folder.path()).unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("lock"))
        .count()
        <= 1
}

#[tokio::test]
async fn of_four_processes_with_one_key_exactly_one_stores_its_task() {
    let stage = Stage::new().await;
    let mut processes: Vec<_> = (0..4).map(|_| stage.start("unique")).collect();
    for process in &mut processes {
        process.until_it_says("ready");
    }
    // They begin together.
    processes.iter_mut().for_each(|process| drop(process.0.stdin.take()));
    let mut created = 0;
    for process in &mut processes {
        let mut text = String::new();
        process.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let count = text.trim().strip_prefix("created ").expect("what the process says");
        created += count.parse::<u64>().unwrap();
        assert_eq!(process.code().await, Some(0));
    }
    assert_eq!((created, stage.tasks.stats().await.unwrap().open()), (50, 50));
}
