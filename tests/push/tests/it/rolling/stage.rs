//! One queue, and the processes of both versions that use it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gae_tasks::{Client, QueueConfig, Registry, RetryConfig, TaskFilter, TaskState};
use gae_tasks_tests_push::rolling::{Ledger, QUEUE, Report, Version};
use gae_tasks_tests_push::server::Server;
use tempfile::TempDir;

use super::account::Account;
use super::balancer::{Balancer, Instances};
use super::waiting::{Left, assert_reported};

/// Enough for a busy machine, and less than the pause of a minute after a refusal: another version
/// is to have the task at once.
const PATIENCE: Duration = Duration::from_secs(50);

const PLACE: &str = "projects/shop/locations/europe-west1";

pub(super) struct Stage {
    url: String,
    pub(super) ledger: PathBuf,
    /// The test's own client and ledger, of the version that is gone.
    pub(super) tasks: Client,
    pub(super) gone: Ledger,
    push: Option<Push>,
    _folder: TempDir,
}

/// The queue that pushes tasks, and what stands before the instances.
struct Push {
    balancer: Balancer,
    _queue: Server,
}

/// What a process does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    /// Runs tasks: leases them, or serves the queue.
    Run,
    /// Defers tasks with random values, so many or until it is killed.
    Defer { seed: u64, count: Option<u64> },
}

impl Stage {
    pub(super) async fn on_a_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
        Self::open(url, None, folder).await
    }

    pub(super) async fn behind_a_queue() -> Self {
        let queue = Server::builder().dispatching().start().await;
        queue.create_queue(PLACE, QUEUE);
        let balancer = Balancer::start().await;
        let (at, to) = (queue.url(), &balancer.url);
        let url =
            format!("cloudtasks://shop/europe-west1?url={to}&endpoint={at}&credentials=anonymous");
        let push = Push { balancer, _queue: queue };
        Self::open(url, Some(push), tempfile::tempdir().unwrap()).await
    }

    async fn open(url: String, push: Option<Push>, folder: TempDir) -> Self {
        let tasks = Client::builder().registry(Registry::new()).open(&url).await.unwrap();
        let retry = RetryConfig::new()
            .with_min_backoff(Duration::from_millis(20))
            .with_max_backoff(Duration::from_millis(700));
        tasks.put_queue(QUEUE, QueueConfig::new().with_retry(retry)).await.unwrap();
        let ledger = folder.path().join("ledger");
        let gone = Ledger::open(Version::Gone, &ledger).unwrap();
        Self { url, ledger, tasks, gone, push, _folder: folder }
    }

    /// Whether a task is marked by the readers that refused it: a push queue marks none.
    pub(super) fn has_refusals(&self) -> bool {
        self.push.is_none()
    }

    fn command(&self, version: Version, verb: &str) -> Command {
        let program = match version {
            Version::Old => env!("CARGO_BIN_EXE_rolling_old"),
            Version::New => env!("CARGO_BIN_EXE_rolling_new"),
            Version::Gone => panic!("no instance is left"),
        };
        let mut command = Command::new(program);
        command.args([verb, &self.url]).arg(&self.ledger);
        command
    }

    pub(super) fn start(&self, version: Version, verb: Verb) -> Process {
        let mut command = match (verb, &self.push) {
            (Verb::Run, None) => self.command(version, "work"),
            (Verb::Run, Some(_)) => self.command(version, "serve"),
            (Verb::Defer { .. }, _) => self.command(version, "defer"),
        };
        if let Verb::Defer { seed, count } = verb {
            command.arg(seed.to_string()).args(count.map(|count| count.to_string()));
        }
        let serving = self.push.as_ref().filter(|_| matches!(verb, Verb::Run));
        if serving.is_some() {
            command.stdout(Stdio::piped());
        }
        let child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut process = Process { child, announced: None };
        if let Some(push) = serving {
            process.announce(push.balancer.instances.clone());
        }
        process
    }

    fn report(&self, version: Version) -> Report {
        let mut command = self.command(version, "report");
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until `readers` have run what one of them can and have refused the rest, and asserts
    /// that each of them reports that. Returns it.
    pub(super) async fn until_left(&self, readers: &[Version]) -> Vec<Left> {
        let begun = Instant::now();
        loop {
            let left = self.stored().await;
            let open: Vec<_> = left.iter().filter(|one| !self.is_settled(one, readers)).collect();
            if open.is_empty() {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{readers:?} do not run or refuse {open:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.hold_deliveries().await;
        let left = self.stored().await;
        for reader in readers {
            assert_reported(&left, *reader, &self.report(*reader), self.has_refusals());
        }
        self.tasks.resume(QUEUE).await.unwrap();
        left
    }

    /// Stops a push queue, which else is delivering some of the tasks that nobody runs: these do
    /// not count as waiting.
    async fn hold_deliveries(&self) {
        if self.push.is_some() {
            self.tasks.pause(QUEUE).await.unwrap();
            while self.tasks.stats().await.unwrap().leased > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Makes the tasks that wait due by hand, the refused ones too, which pause.
    pub(super) async fn run_now(&self, left: &[Left]) {
        // A push queue has no pauses that end an hour later.
        if self.has_refusals() {
            for one in left {
                self.tasks.run_now(one.record.spec.id).await.unwrap();
            }
        }
    }

    fn is_settled(&self, one: &Left, readers: &[Version]) -> bool {
        let record = &one.record;
        let is_refused = !self.has_refusals() || one.is_of_route() || record.refusals > 0;
        // A push queue delivers what nobody runs again and again.
        let waits = record.state == TaskState::Scheduled || !self.has_refusals();
        waits && is_refused && !one.is_read_by(readers)
    }

    /// Returns the stored tasks.
    async fn stored(&self) -> Vec<Left> {
        let mut records = Vec::new();
        loop {
            let after = records.last().map(|record: &gae_tasks::TaskRecord| record.spec.id);
            let page =
                self.tasks.list(TaskFilter::new(), after, 500).with_payloads().await.unwrap();
            if page.is_empty() {
                break;
            }
            records.extend(page);
        }
        // Read later, so that it has every task that is stored.
        let account = Account::read(&self.ledger);
        account.assert_calls_as_meant();
        records.into_iter().map(|record| Left::of(record, &account)).collect()
    }
}

/// A process, killed on drop.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// For an instance that serves: the thread that waits for its address.
    announced: Option<(Instances, JoinHandle<()>)>,
}

impl Process {
    /// Adds the instance to the others as soon as it says where it is.
    fn announce(&mut self, instances: Instances) {
        let (output, id) = (self.child.stdout.take().unwrap(), self.child.id());
        let others = instances.clone();
        let waiting = std::thread::spawn(move || {
            let mut line = String::new();
            // Nothing comes of one that was killed before.
            if BufReader::new(output).read_line(&mut line).is_ok() && line.ends_with('\n') {
                others.add(id, line.trim().to_owned());
            }
        });
        self.announced = Some((instances, waiting));
    }

    pub(super) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success(), "kill {signal}");
    }

    /// Waits for the end.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the process does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        if let Some((instances, waiting)) = self.announced.take() {
            _ = waiting.join();
            instances.remove(self.child.id());
        }
    }
}
