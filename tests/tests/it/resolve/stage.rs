//! The stage of the tests: programs of two versions on one storage, in memory or in a file, run by
//! a drain or by a worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::sqlite::Sqlite;
use gae_tasks::backend::{Pull, TaskRecord};
use gae_tasks::payload_store::{PayloadStore, Stored};
use gae_tasks::testing::{Faulty, ManualClock};
use gae_tasks::{Client, Defer, Error, Registry, Task, TaskId, Timestamp, Unroutable, deferred};
use tokio::sync::Notify;

/// The real time for which a test waits for events that need no time to pass on its clock.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the functions of both versions were called with, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran(Arc<Mutex<Vec<String>>>, Arc<Notify>);

impl Ran {
    pub(super) fn note(&self, call: impl Into<String>) {
        self.0.lock().unwrap().push(call.into());
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The last task that a worker finds due: whatever it could have run, it has run by then.
#[deferred(name = "rolling/last")]
async fn last(#[state] ran: &Ran) {
    ran.1.notify_one();
}

/// Two versions of a task, in modules of their own.
macro_rules! versions {
    ($($name:ident { $($old:tt)* } => { $($new:tt)* })*) => {
        $(
            mod $name {
                #![allow(clippy::allow_attributes, dead_code, unreachable_pub, unused_imports)]
                pub(super) mod old {
                    use gae_tasks::{PermanentTaskFailure, deferred};
                    use serde::{Deserialize, Serialize};
                    use crate::resolve::stage::Ran;
                    $($old)*
                }
                pub(super) mod new {
                    use gae_tasks::{PermanentTaskFailure, deferred};
                    use serde::{Deserialize, Serialize};
                    use crate::resolve::stage::Ran;
                    $($new)*
                }
            }
        )*
    };
}
pub(super) use versions;

/// What runs the stored tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Drain,
    Worker,
}

/// One storage, a clock that the test moves, and what was run.
pub(super) struct World {
    pub(super) clock: ManualClock,
    pub(super) storage: Faulty<Arc<dyn Pull>>,
    pub(super) ran: Ran,
    store: Store,
    by: By,
    _folder: Option<tempfile::TempDir>,
}

impl World {
    /// Returns a world for each storage and each way to run tasks.
    pub(super) async fn each() -> Vec<Self> {
        let mut worlds = Vec::new();
        for by in [By::Drain, By::Worker] {
            worlds.push(Self::in_memory(by));
            let folder = tempfile::tempdir().unwrap();
            let sqlite = Sqlite::open(folder.path().join("tasks.db")).await.unwrap();
            worlds.push(Self::new(Arc::new(sqlite), by, Some(folder)));
        }
        worlds
    }

    /// Returns a world in memory whose tasks a worker runs.
    pub(super) fn with_worker() -> Self {
        Self::in_memory(By::Worker)
    }

    fn in_memory(by: By) -> Self {
        Self::new(Arc::new(Memory::new()), by, None)
    }

    fn new(storage: Arc<dyn Pull>, by: By, folder: Option<tempfile::TempDir>) -> Self {
        Self {
            clock: ManualClock::new(),
            storage: Faulty::new(storage),
            ran: Ran::default(),
            store: Store::default(),
            by,
            _folder: folder,
        }
    }

    /// Returns a program with one version of a task.
    pub(super) fn program<T: Task>(&self) -> Client {
        self.client(Registry::new().with::<T>())
    }

    /// Returns a program with these tasks.
    pub(super) fn client(&self, registry: Registry) -> Client {
        let builder = Client::builder().registry(registry.with::<last>()).state(self.ran.clone());
        let builder = builder.clock(self.clock.clone()).payload_store(self.store.clone());
        builder.inline_payload(1000).build(self.storage.clone()).unwrap()
    }

    /// Runs every due task that `program` can run, and returns the calls.
    pub(super) async fn run(&self, program: &Client) -> Vec<String> {
        match self.by {
            // What a program cannot read is an error of a drain, which can go on.
            By::Drain => while program.drain().await.is_err() {},
            By::Worker => self.work(program).await,
        }
        self.ran.take()
    }

    async fn work(&self, program: &Client) {
        let worker = Running::start(program);
        last::defer().on(program).await.unwrap();
        self.until_idle(program).await;
        worker.finish().await;
    }

    /// Waits until the last task was run and no other is.
    pub(super) async fn until_idle(&self, program: &Client) {
        let idle = async {
            self.ran.1.notified().await;
            while program.stats().await.unwrap().leased > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, idle).await.expect("the worker is not idle");
    }

    /// Defers `task`, and has `program` run it: what was it called with?
    pub(super) async fn resolves(&self, task: Defer, program: &Client) -> String {
        task.on(program).await.unwrap();
        let ran = self.run(program).await;
        assert_eq!(ran.len(), 1, "{:?}", program.unroutable().await);
        assert_eq!(program.unroutable().await.unwrap(), []);
        ran.into_iter().next().unwrap()
    }

    /// Defers `task`, which `program` cannot read: returns why.
    pub(super) async fn waits(&self, task: Defer, program: &Client) -> String {
        let id = task.on(program).await.unwrap().id;
        assert_eq!(self.run(program).await, [""; 0]);
        let record = self.record(program, id).await;
        assert_eq!((record.attempts, record.refusals), (0, 0), "it is not leased");
        reason(program).await
    }

    pub(super) async fn record(&self, program: &Client, id: TaskId) -> TaskRecord {
        program.get(id).await.unwrap().expect("the task is stored")
    }

    /// How many spilled payloads there are.
    pub(super) fn spilled(&self) -> usize {
        self.store.0.lock().unwrap().len()
    }
}

/// Why the tasks of the only route that `program` cannot run wait.
pub(super) async fn reason(program: &Client) -> String {
    let lines = program.unroutable().await.unwrap();
    let [Unroutable { stats, reason, .. }] = &lines[..] else { panic!("{lines:?}") };
    assert!(stats.scheduled > 0);
    reason.clone()
}

/// A worker that runs until it is stopped.
pub(super) struct Running(Arc<Notify>, tokio::task::JoinHandle<Result<(), Error>>);

impl Running {
    /// Starts a worker that runs one task at a time, in order.
    pub(super) fn start(program: &Client) -> Self {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let worker = program.worker().concurrency(1);
        let worker = worker.with_graceful_shutdown(async move { stopped.notified().await });
        Self(stop, tokio::spawn(worker.into_future()))
    }

    pub(super) async fn finish(self) {
        self.0.notify_one();
        let ended = tokio::time::timeout(PATIENCE, self.1).await;
        ended.expect("the worker did not stop").unwrap().unwrap();
    }
}

/// A payload store in memory; clones are the same store.
#[derive(Debug, Clone, Default)]
struct Store(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl PayloadStore for Store {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()> {
        self.0.lock().unwrap().insert(key.to_owned(), payload);
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        let found = self.0.lock().unwrap().get(key).cloned();
        Box::pin(async { Ok(found) })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        self.0.lock().unwrap().remove(key);
        Box::pin(async { Ok(()) })
    }

    fn put_before(&self, _: Timestamp) -> Stored<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
