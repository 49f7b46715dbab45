//! The stage of the chaos tests: a place for tasks, processes that use the place, and their log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use gae_tasks::{Client, TaskId};
use gae_tasks_tests::chaos::{FileClock, LOG, Line, Order, Sign, Then, append, read};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tempfile::TempDir;

use super::place::{self, Place};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: i64 = 3600;

/// The tolerance of time limits, for a machine that is busy with other tests.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(2);

/// Returns `short`, or `full` in the long form of the tests.
pub(crate) fn length(short: u64, full: u64) -> Duration {
    Duration::from_secs(if is_full() { full } else { short })
}

pub(crate) fn is_full() -> bool {
    std::env::var_os("CHAOS_FULL").is_some()
}

/// A place for tasks, with the client and the log of a test.
pub(crate) struct Stage {
    beside: TempDir,
    pub(crate) place: Place,
    /// The test's own client, with the machine's clock.
    pub(crate) tasks: Client,
    programs: AtomicU32,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::on(Place::new().await).await
    }

    pub(crate) async fn on(place: Place) -> Self {
        let tasks = Client::open(&place.url()).await.unwrap();
        let beside = tempfile::tempdir().unwrap();
        Self { beside, place, tasks, programs: AtomicU32::new(0) }
    }

    /// Returns the path of a file next to the storage.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.beside.path().join(name)
    }

    /// Returns a client of the place, in this process, with this clock.
    pub(crate) async fn client(&self, clock: &FileClock) -> Client {
        Client::builder().clock(clock.clone()).open(&self.place.url()).await.unwrap()
    }

    pub(crate) fn worker(&self) -> Program {
        self.program("work").lease(place::LEASE)
    }

    pub(crate) fn producer(&self) -> Program {
        self.program("defer")
    }

    fn program(&self, verb: &str) -> Program {
        let number = self.programs.fetch_add(1, Ordering::Relaxed);
        let log = self.file("log");
        let mut command = Command::new(place::PROGRAM);
        command.args([verb, &self.place.programs_url()]).env(LOG, &log);
        Program {
            command,
            clock: FileClock::new(self.file(&format!("clock-{number}"))),
            log,
            output: self.file(&format!("output-{number}")),
        }
    }

    pub(crate) fn history(&self) -> History {
        History::read(&self.file("log"))
    }

    /// Waits until attempts of these tasks have begun `times` times in total.
    pub(crate) async fn until_begun(&self, tasks: &[TaskId], times: usize) {
        let begun = || tasks.iter().map(|task| self.history().begun(*task)).sum::<usize>();
        until(&format!("{times} begun attempts"), 20 * SECOND, async || begun() >= times).await;
    }

    pub(crate) async fn until_open(&self, open: u64, limit: Duration) {
        let what = format!("the end of all tasks but {open}");
        until(&what, limit, async || self.tasks.stats().await.unwrap().open() == open).await;
    }

    /// Returns the number of dead letters.
    pub(crate) async fn dead(&self) -> u64 {
        self.tasks.stats().await.unwrap().dead
    }
}

/// A process to start.
pub(crate) struct Program {
    command: Command,
    clock: FileClock,
    log: PathBuf,
    output: PathBuf,
}

impl Program {
    pub(crate) fn lease(self, seconds: f64) -> Self {
        self.option("lease", seconds)
    }

    pub(crate) fn grace(self, seconds: f64) -> Self {
        self.option("grace", seconds)
    }

    pub(crate) fn concurrency(self, attempts: usize) -> Self {
        self.option("concurrency", attempts)
    }

    /// Sets the queues that the process serves, or defers to.
    pub(crate) fn queues(self, queues: &[impl AsRef<str>]) -> Self {
        let queues: Vec<_> = queues.iter().map(AsRef::as_ref).collect();
        self.option("queues", queues.join(","))
    }

    /// Starts the process with a clock that is `seconds` ahead.
    pub(crate) fn clock(self, seconds: i64) -> Self {
        self.clock.set(seconds).unwrap();
        self
    }

    pub(crate) fn option(mut self, name: &str, value: impl ToString) -> Self {
        self.command.arg(format!("--{name}")).arg(value.to_string());
        self
    }

    pub(crate) fn start(mut self) -> Process {
        let output = File::create(&self.output).unwrap();
        let child = self
            .command
            .arg("--clock")
            .arg(self.clock.file())
            .stdin(Stdio::null())
            .stdout(output)
            .spawn()
            .unwrap();
        Process { child, clock: self.clock, log: self.log, output: self.output }
    }
}

/// A process, killed on drop.
pub(crate) struct Process {
    child: Child,
    /// The process's own clock.
    pub(crate) clock: FileClock,
    log: PathBuf,
    output: PathBuf,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process and logs the kill.
    pub(crate) fn kill(&mut self) {
        // Logged before another worker can take over its tasks, and again for attempts begun before
        // it was dead.
        self.note_death();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.note_death();
    }

    pub(crate) fn signal(&self, signal: &str) {
        signal_all(signal, [self]);
    }

    /// Returns the process's exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Logs that the process is dead, so that its attempts count as over.
    pub(crate) fn note_death(&self) {
        append(&self.log, Sign::Killed, None, self.id()).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Returns the complete lines that the process has printed so far.
    pub(crate) fn printed(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.output).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        text[..whole].lines().map(str::to_owned).collect()
    }

    /// Returns the acknowledged tasks of a producer.
    pub(crate) fn stored(&self) -> Vec<TaskId> {
        self.printed()
            .iter()
            .filter_map(|line| line.strip_prefix("stored ")?.parse().ok())
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Sends a signal to several processes by one command, so that all receive it within a millisecond.
pub(crate) fn signal_all<'a>(signal: &str, processes: impl IntoIterator<Item = &'a Process>) {
    let ids = processes.into_iter().map(|process| process.id().to_string());
    assert!(
        Command::new("kill").arg(signal).args(ids).status().unwrap().success(),
        "kill {signal}"
    );
}

/// One attempt of a task, from the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) process: u32,
    pub(crate) begun: Duration,
    pub(crate) over: Option<(Sign, Duration)>,
}

/// The history of each task.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) attempts: BTreeMap<TaskId, Vec<Made>>,
    /// Tasks that began again during another attempt, with the process of the other attempt.
    pub(crate) beside_themselves: Vec<(TaskId, u32)>,
}

impl History {
    pub(crate) fn read(log: &Path) -> Self {
        let mut history = Self::default();
        read(log).into_iter().for_each(|line| history.add(line));
        history
    }

    fn add(&mut self, Line { sign, task, process, at }: Line) {
        let Some(task) = task else {
            let all = self.attempts.values_mut().flatten();
            all.filter(|one| one.process == process && one.over.is_none())
                .for_each(|one| one.over = Some((sign, at)));
            return;
        };
        let attempts = self.attempts.entry(task).or_default();
        let mut open = attempts.iter_mut().filter(|one| one.over.is_none());
        if sign != Sign::Begun {
            open.filter(|one| one.process == process).for_each(|one| one.over = Some((sign, at)));
            return;
        }
        if let Some(other) = open.next() {
            self.beside_themselves.push((task, other.process));
        }
        attempts.push(Made { process, begun: at, over: None });
    }

    pub(crate) fn of(&self, task: TaskId) -> &[Made] {
        self.attempts.get(&task).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn begun(&self, task: TaskId) -> usize {
        self.of(task).len()
    }

    /// Returns the number of attempts that ended, and of attempts that were stopped.
    pub(crate) fn over(&self, task: TaskId) -> (usize, usize) {
        let count = |sign| {
            self.of(task)
                .iter()
                .filter(|one| one.over.is_some_and(|(over, _)| over == sign))
                .count()
        };
        (count(Sign::Ended), count(Sign::Stopped))
    }

    pub(crate) fn assert_nothing_ran_beside_itself(&self) {
        assert!(self.beside_themselves.is_empty(), "{:?}", self.beside_themselves);
    }
}

/// Orders to attempts that wait for them.
pub(crate) struct Orders(PathBuf);

impl Stage {
    pub(crate) fn orders(&self, name: &str) -> Orders {
        Orders(self.file(name))
    }
}

impl Orders {
    /// The file in which attempts look for their order.
    pub(crate) fn file(&self) -> String {
        self.0.display().to_string()
    }

    pub(crate) fn give(&self, pause: Duration, then: Then) {
        Order { pause, then }.give(&self.0).unwrap();
    }

    pub(crate) fn give_one(&self, process: &Process, pause: Duration, then: Then) {
        Order { pause, then }.give_one(&self.0, process.id()).unwrap();
    }

    /// Lets every attempt succeed.
    pub(crate) fn done(&self) {
        self.give(Duration::ZERO, Then::Done);
    }
}

/// Waits until `holds` returns true, and returns the time taken.
pub(crate) async fn until(what: &str, limit: Duration, holds: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < limit, "{what} did not happen within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}

/// Returns the machine's time since 1970, in the log's unit.
pub(crate) fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap()
}

/// Random numbers from a printed seed.
pub(crate) struct Dice(TestRng);

impl Dice {
    pub(crate) fn new() -> Self {
        let seed = match std::env::var("CHAOS_SEED") {
            Ok(seed) => seed.parse().expect("CHAOS_SEED is a number"),
            Err(_) => now().as_nanos(),
        };
        println!("seed {seed}: run again with CHAOS_SEED={seed}");
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&u128::to_le_bytes(seed));
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    /// Returns a number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0.next_u32() as usize % limit
    }

    pub(crate) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        let width = range.end - range.start;
        Duration::from_millis(range.start + u64::from(self.0.next_u32()) % width)
    }
}
