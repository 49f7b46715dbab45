//! The quickstart ends, whoever is killed, and whatever an earlier run has left.
#![cfg(unix)]
#![allow(dead_code)] // What only the example itself uses.

#[path = "../quickstart/results.rs"]
mod results;
#[path = "it/started.rs"]
mod started;
#[path = "../quickstart/tasks.rs"]
mod tasks;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use gae_tasks::backend::{TaskFilter, TaskState};
use gae_tasks::{Client, PermanentTaskFailure, deferred};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::results::Results;
use crate::started::example;
use crate::tasks::digest_file;

/// No wait is longer. The longest that is needed is a worker's grace time of 8 seconds.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn it_ends_and_begins_anew_each_time() {
    let (place, count) = Place::with_more_files_than_run_at_once();
    for _ in 0..2 {
        let told = place.start().end();
        let (deferred, found) =
            (format!("deferred {count} tasks"), format!("{count} files, {count} lines"));
        for part in [&deferred, &found, "killed worker", "every file exactly once in the result"] {
            assert!(told.contains(part), "no `{part}` in {told}");
        }
    }
    assert_eq!(place.runs().len(), 1, "what the first run left is still there");
}

#[test]
fn it_goes_on_after_the_watching_process_was_killed() {
    let (place, count) = Place::with_more_files_than_run_at_once();
    let mut quickstart = place.start();
    quickstart.until("killed worker");
    quickstart.kill();
    quickstart.all_have_ended();

    let told = place.start().end();
    assert!(told.contains("going on") && told.contains("deferred 0 tasks"), "{told}");
    assert!(told.contains(&format!("{count} files, {count} lines")), "{told}");
}

#[test]
fn a_worker_ends_when_its_starter_is_killed() {
    let place = Place::with_files(1);
    let mut quickstart = place.start();
    quickstart.worker();
    quickstart.kill();
    quickstart.all_have_ended();
}

#[test]
fn a_worker_that_others_have_killed_is_replaced() {
    let place = Place::with_files(1);
    let mut quickstart = place.start();
    kill(quickstart.worker());
    quickstart.until("has ended (signal: 9");
    quickstart.end();
}

/// What hung: every file has a result, and nobody works on the tasks that are not recorded as done.
#[test]
fn it_ends_after_the_worker_was_killed_at_its_last_task() {
    let place = Place::with_files(1);
    let mut quickstart = place.start();
    let worker = quickstart.worker();
    place.with_every_result_but_no_task_done(|| kill(worker));
    quickstart.until("has ended");
    let told = quickstart.end();
    assert!(told.contains("1 files, 1 lines"), "{told}");
}

#[test]
fn it_ends_after_both_were_killed_at_the_last_task() {
    let place = Place::with_files(1);
    let mut quickstart = place.start();
    let worker = quickstart.worker();
    place.with_every_result_but_no_task_done(|| {
        quickstart.kill();
        kill(worker);
    });
    quickstart.all_have_ended();
    let told = place.start().end();
    assert!(told.contains("going on where the last run was stopped: 1 files are done"), "{told}");
}

#[test]
fn it_ends_when_all_is_done_but_not_told() {
    let place = Place::with_files(1);
    place.start().end();
    fs::remove_file(place.run().join("finished")).unwrap();
    let told = place.start().end();
    assert!(told.contains("going on") && told.contains("deferred 0 tasks"), "{told}");
    assert!(!told.contains("runs them"), "a worker was started for nothing: {told}");
}

#[test]
fn it_ends_when_all_is_done_and_the_results_are_missing() {
    let place = Place::with_files(1);
    place.start().end();
    for file in ["finished", "results.db"] {
        fs::remove_file(place.run().join(file)).unwrap();
    }
    let told = place.start().end();
    assert!(told.contains("1 files, 1 lines"), "{told}");
}

#[test]
fn it_ends_whatever_is_missing() {
    for missing in
        [&["results.db"][..], &["queue.db"], &["results.db", "queue.db"], &["queue.db-wal"]]
    {
        ends_after(&format!("without {missing:?}"), |run| {
            for file in missing {
                // The last process that closes a database removes its log.
                _ = fs::remove_file(run.join(file));
            }
        });
    }
}

#[test]
fn it_ends_when_a_file_is_of_another_format() {
    for file in ["results.db", "queue.db"] {
        ends_after(&format!("{file} is no database"), |run| {
            remove_database(run, file);
            fs::write(
                run.join(file),
                "not a database, and long enough to be seen as none".repeat(100),
            )
            .unwrap();
        });
        ends_after(&format!("{file} is of another version"), |run| {
            remove_database(run, file);
            let tables =
                "CREATE TABLE result (path TEXT); CREATE TABLE gae_tasks_version (version INTEGER);
                INSERT INTO gae_tasks_version VALUES (1000000)";
            Connection::open(run.join(file)).unwrap().execute_batch(tables).unwrap();
        });
    }
}

#[test]
fn it_ends_when_the_queue_holds_tasks_of_another_version() {
    #[deferred(queue = "files", name = "quickstart.tasks/digest_file_of_old")]
    fn digest_file_of_old(_path: Vec<String>) {}

    ends_after("tasks of another version", |run| {
        in_queue(run, async |tasks| {
            digest_file_of_old::defer(Vec::new()).on(tasks).await.unwrap();
        });
    });
}

#[test]
fn what_earlier_runs_and_versions_have_left_is_removed() {
    let place = Place::with_files(1);
    place.start().end();
    let folder = place.run().parent().unwrap().to_owned();
    for left in ["queue.db", "results.db-wal", "run-7"] {
        fs::write(folder.join(left), "left").unwrap();
    }
    place.start().end();
    let mut found: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, ["lock", "run-8"]);
}

#[test]
fn it_ends_beside_a_worker_of_an_earlier_run() {
    let place = Place::with_files(1);
    place.stopped_half_way();
    let run = place.run();
    let mut left = place.start_worker(&run);
    place.start().end();
    // The next one begins anew, and removes the files that worker has open.
    place.start().end();
    assert!(!run.exists(), "{} is still there", run.display());
    assert!(left.child.try_wait().unwrap().is_none(), "it has ended before it was let go");
    drop(left.child.stdin.take());
    left.all_have_ended();
}

#[test]
fn workers_that_end_at_once_are_replaced_only_so_often() {
    let place = Place::with_files(1);
    let mut quickstart = place.start();
    let worker = quickstart.worker();
    place.with_every_result_but_no_task_done(|| {
        // The watching process has the file open; another worker cannot open it.
        remove_database(&place.run(), "results.db");
        fs::create_dir(place.run().join("results.db")).unwrap();
        kill(worker);
    });
    let (told, succeeded) = quickstart.told();
    assert!(!succeeded && told.contains("10 workers have ended"), "{told}");
    place.start().end();
}

#[test]
fn a_second_one_of_the_same_folder_is_refused() {
    let place = Place::with_files(1);
    let mut first = place.start();
    first.worker();
    place.with_every_result_but_no_task_done(|| {
        let (told, succeeded) = place.start().told();
        assert!(!succeeded && told.contains("another quickstart digests"), "{told}");
    });
    let told = first.end();
    assert!(told.contains("1 files, 1 lines"), "{told}");
}

#[test]
fn one_that_is_about_to_end_is_waited_for() {
    let place = Place::with_files(1);
    place.start().end();
    let lock = File::open(place.run().with_file_name("lock")).unwrap();
    lock.lock().unwrap();
    let mut second = place.start();
    second.until("waiting for another quickstart");
    drop(lock);
    second.end();
}

#[test]
fn results_that_were_lost_are_made_anew() {
    let place = Place::with_files(1);
    place.start().end();
    fs::remove_file(place.run().join("finished")).unwrap();
    place.lose_results();
    let told = place.start().end();
    assert!(told.contains("beginning anew") && told.contains("1 files, 1 lines"), "{told}");
}

#[test]
fn results_that_are_lost_again_are_an_error() {
    let place = Place::with_files(1);
    let mut quickstart = place.start();
    for _ in 0..2 {
        quickstart.worker();
        place.with_every_result_but_no_task_done(|| place.lose_results());
    }
    let (told, succeeded) = quickstart.told();
    assert!(!succeeded && told.contains("the results of 1 files were lost: "), "{told}");
    place.start().end();
}

#[test]
fn files_that_come_and_go_between_two_runs_are_no_error() {
    let place = Place::with_files(6);
    place.stopped_half_way();
    let results = Results::open(&place.run().join("results.db")).unwrap();
    let open: Vec<_> =
        place.files().into_iter().filter(|path| !results.has(path).unwrap()).collect();
    drop(results);
    assert!(open.len() > 1, "all but {} files were digested before the kill", open.len());
    fs::remove_file(&open[0]).unwrap();
    fs::write(&open[1], "one two three\nfour\n").unwrap();
    fs::write(place.dir().join("new.txt"), "new").unwrap();

    let told = place.start().end();
    assert!(told.contains("6 files, 7 lines, 13 words"), "{told}");
    assert!(
        told.contains("1 files could not be digested")
            && told.contains(&format!("{} is gone", open[0])),
        "{told}"
    );

    // A file of this list has a dead letter, and no result: all that there is to wait for.
    fs::remove_file(place.run().join("finished")).unwrap();
    fs::write(&open[0], "back").unwrap();
    let told = place.start().end();
    assert!(told.contains("going on") && told.contains("1 files could not be digested"), "{told}");
    assert!(!told.contains("beginning anew"), "{told}");
}

#[test]
fn a_file_that_cannot_be_read_is_reported() {
    let place = Place::with_files(1);
    place.stopped_half_way();
    let folder = place.dir().to_str().unwrap().to_owned();
    in_queue(&place.run(), async |tasks| {
        digest_file::defer(&folder).on(tasks).await.unwrap();
    });
    let told = place.start().end();
    assert!(
        told.contains(&format!("cannot read {folder}")) && told.contains("1 files, 1 lines"),
        "{told}"
    );
    in_queue(&place.run(), async |tasks| {
        let letters = tasks.list(TaskFilter::new().state(TaskState::Dead), None, 10).await.unwrap();
        assert_eq!(letters.iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [3]);
    });
}

#[test]
fn only_a_file_that_is_gone_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let results = Results::open(&folder.path().join("results.db")).unwrap();
    let gone =
        digest_file(folder.path().join("gone").to_str().unwrap().to_owned(), &results).unwrap_err();
    assert!(gone.downcast_ref::<PermanentTaskFailure>().is_some(), "{gone:#}");
    let unreadable = digest_file(folder.path().to_str().unwrap().to_owned(), &results).unwrap_err();
    assert!(unreadable.downcast_ref::<PermanentTaskFailure>().is_none(), "{unreadable:#}");
}

#[cfg(target_os = "linux")] // Others refuse such a name.
#[test]
fn a_name_that_is_not_utf_8_is_left_out() {
    let place = Place::with_files(1);
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff.txt");
    fs::write(place.dir().join(name), "left out").unwrap();
    let (told, succeeded) = place.start().told();
    assert!(succeeded && told.contains("1 files, 1 lines") && told.contains("not UTF-8"), "{told}");
}

#[test]
fn a_folder_without_files_is_an_error() {
    let place = Place::with_files(0);
    let (told, succeeded) = place.start().told();
    assert!(!succeeded && told.contains("has no files"), "{told}");
    let (told, succeeded) = place.start_on(&place.dir().join("gone")).told();
    assert!(!succeeded && told.contains("there is no folder"), "{told}");
}

/// Reading the queue's file beside SQLite would drop the locks that the process has on it.
#[test]
fn it_digests_no_file_of_its_own() {
    let place = Place::with_files(1);
    for _ in 0..2 {
        let told = place.start_on(place.0.path()).end();
        assert!(told.contains("1 files, 1 lines"), "{told}");
    }
}

/// Files to be digested, and a temporary folder of their own.
struct Place(TempDir);

impl Place {
    fn with_files(count: u32) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.dir()).unwrap();
        fs::create_dir(place.temporary()).unwrap();
        for number in 0..count {
            fs::write(place.dir().join(format!("{number}.txt")), format!("file {number}\n"))
                .unwrap();
        }
        place
    }

    /// Half of them are done a while before the others, so that the worker is killed in between.
    fn with_more_files_than_run_at_once() -> (Self, u32) {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let count = 2 * u32::try_from(threads).unwrap();
        (Self::with_files(count), count)
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("files")
    }

    fn temporary(&self) -> PathBuf {
        self.0.path().join("temporary")
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.dir()).unwrap().map(|entry| entry.unwrap().path());
        // As the quickstart names them.
        files
            .map(|path| path.canonicalize().unwrap().into_os_string().into_string().unwrap())
            .collect()
    }

    /// The folders of all runs.
    fn runs(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.temporary()).unwrap().map(|entry| entry.unwrap().path());
        let entries = folders
            .flat_map(|folder| fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    }

    /// The folder of the only run.
    fn run(&self) -> PathBuf {
        let [run] = self.runs().try_into().unwrap();
        run
    }

    fn start(&self) -> Quickstart {
        self.start_on(&self.dir())
    }

    fn start_on(&self, dir: &Path) -> Quickstart {
        Quickstart::start(example("quickstart").arg(dir).env("TMPDIR", self.temporary()))
    }

    /// A worker that nobody watches.
    fn start_worker(&self, run: &Path) -> Quickstart {
        Quickstart::start(example("quickstart").arg("--worker").arg(run).stdin(Stdio::piped()))
    }

    fn lose_results(&self) {
        Connection::open(self.run().join("results.db"))
            .unwrap()
            .execute("DELETE FROM result", ())
            .unwrap();
    }

    /// Starts a quickstart, and kills it and its worker soon after they have begun.
    fn stopped_half_way(&self) {
        let mut quickstart = self.start();
        let worker = quickstart.worker();
        quickstart.kill();
        kill(worker);
        quickstart.all_have_ended();
    }

    /// Holds the queue's file from when the worker has leased all tasks, and acts when it has
    /// stored their results.
    fn with_every_result_but_no_task_done(&self, act: impl FnOnce()) {
        let files = self.files();
        let connection = Connection::open(self.run().join("queue.db")).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        in_queue(&self.run(), async |tasks| {
            let begun = Instant::now();
            loop {
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                let stats = tasks.stats().await.unwrap();
                assert!(
                    begun.elapsed() < PATIENCE && stats.open() == files.len() as u64,
                    "{stats:?}"
                );
                if stats.scheduled == 0 {
                    break;
                }
                connection.execute_batch("ROLLBACK").unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let results = Results::open(&self.run().join("results.db")).unwrap();
        let begun = Instant::now();
        while !files.iter().all(|path| results.has(path).unwrap()) {
            assert!(begun.elapsed() < PATIENCE, "not every file has a result");
            std::thread::sleep(Duration::from_millis(5));
        }
        act();
    }
}

/// A run that was stopped half-way, and then changed: the next one still digests every file, and
/// ends.
fn ends_after(what: &str, change: impl FnOnce(&Path)) {
    let place = Place::with_files(1);
    place.stopped_half_way();
    change(&place.run());
    let told = place.start().end();
    assert!(told.contains("1 files, 1 lines"), "{what}: {told}");
}

fn remove_database(run: &Path, name: &str) {
    for entry in fs::read_dir(run).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with(name) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Does this with the queue of a run.
fn in_queue(run: &Path, act: impl AsyncFnOnce(&Client)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks =
            Client::open(&format!("sqlite:{}", run.join("queue.db").display())).await.unwrap();
        act(&tasks).await;
    });
}

/// Kills a process, if it has not ended already.
fn kill(process: u32) {
    Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// A quickstart, killed when this is dropped, and what it and its workers write.
struct Quickstart {
    child: Child,
    /// Open as long as any of them lives: they all have the same output.
    lines: Receiver<String>,
    told: String,
}

impl Quickstart {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        read(child.stdout.take().unwrap(), sender.clone());
        read(child.stderr.take().unwrap(), sender);
        Self { child, lines, told: String::new() }
    }

    /// Waits for such a line.
    fn until(&mut self, part: &str) -> String {
        loop {
            match self.next_line() {
                Some(line) if line.contains(part) => return line,
                Some(_) => {}
                None => panic!("it has ended and never said `{part}`: {}", self.told),
            }
        }
    }

    /// The process id of its first worker.
    fn worker(&mut self) -> u32 {
        let line = self.until("runs them");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Kills the watching process.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the workers are gone too.
    fn all_have_ended(&mut self) {
        while self.next_line().is_some() {}
    }

    /// What it said when it has ended, and whether it succeeded.
    fn told(mut self) -> (String, bool) {
        self.all_have_ended();
        let status = self.child.wait().unwrap();
        (std::mem::take(&mut self.told), status.success())
    }

    /// What it said when it has ended, and succeeded.
    fn end(self) -> String {
        let (told, succeeded) = self.told();
        assert!(succeeded, "{told}");
        told
    }

    fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.told.push_str(&line);
                self.told.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.told),
        }
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn read(output: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            _ = lines.send(line);
        }
    });
}
