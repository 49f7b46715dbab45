//! The stage of the tests: a payload store with planned faults, and a program with this store on
//! every backend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gae_tasks::backend::Pull;
use gae_tasks::backend::memory::Memory;
use gae_tasks::payload_store::{PayloadStore, Stored};
use gae_tasks::testing::{Faulty, ManualClock};
use gae_tasks::{Client, ClientBuilder, TaskId, Timestamp, deferred};
use tokio::sync::Notify;

/// The real time for which a test waits for events that need no time to pass on its clock.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The faults of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Trouble {
    #[default]
    None,
    /// Every operation fails.
    Down,
    /// Every operation hangs.
    Hangs,
    /// A payload that was put is missing.
    LosesWrites,
    /// Every delete fails.
    KeepsAll,
    /// Every delete hangs.
    HangsAtDelete,
    /// Every operation panics.
    Panics,
}

/// The stored payloads, with the times at which they were put.
type Kept = BTreeMap<String, (Vec<u8>, Timestamp)>;

/// A payload store with a test's clock; clones are the same store.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    name: &'static str,
    kept: Arc<Mutex<Kept>>,
    trouble: Arc<Mutex<Trouble>>,
    /// How often a payload was asked for.
    gets: Arc<AtomicUsize>,
    clock: ManualClock,
}

impl Shelf {
    pub(super) fn new(name: &'static str, clock: &ManualClock) -> Self {
        let (kept, trouble, gets) = (Arc::default(), Arc::default(), Arc::default());
        Self { name, kept, trouble, gets, clock: clock.clone() }
    }

    pub(super) fn have(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.kept().keys().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.kept().len()
    }

    pub(super) fn gets(&self) -> usize {
        self.gets.load(Ordering::Relaxed)
    }

    fn answer<T: Send + 'static>(&self, work: impl FnOnce(&Self, Trouble) -> T) -> Stored<'_, T> {
        let trouble = *self.trouble.lock().unwrap();
        match trouble {
            Trouble::Down => Box::pin(async { Err("the shelf is down".into()) }),
            Trouble::Hangs => Box::pin(std::future::pending()),
            Trouble::Panics => panic!("the shelf is broken"),
            _ => Box::pin(std::future::ready(Ok(work(self, trouble)))),
        }
    }
}

impl PayloadStore for Shelf {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()> {
        self.answer(|shelf, trouble| {
            if trouble != Trouble::LosesWrites {
                shelf.kept().insert(key.to_owned(), (payload, shelf.clock.time()));
            }
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.answer(|shelf, _| shelf.kept().get(key).map(|(payload, _)| payload.clone()))
    }

    fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        match *self.trouble.lock().unwrap() {
            Trouble::KeepsAll => return Box::pin(async { Err("the shelf keeps it".into()) }),
            Trouble::HangsAtDelete => return Box::pin(std::future::pending()),
            _ => {}
        }
        self.answer(|shelf, _| _ = shelf.kept().remove(key))
    }

    fn put_before(&self, moment: Timestamp) -> Stored<'_, Vec<String>> {
        let old = move |shelf: &Self| {
            let kept = shelf.kept();
            kept.iter().filter(|(_, (_, put))| *put < moment).map(|(key, _)| key.clone()).collect()
        };
        self.answer(|shelf, _| old(shelf))
    }
}

/// The lengths of the arguments of all runs so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran(Arc<Mutex<Vec<usize>>>, Arc<Notify>);

impl Ran {
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, text: &str) {
        assert!(text.bytes().all(|b| b == b'x'), "the payload is another task's");
        self.0.lock().unwrap().push(text.len());
        self.1.notify_one();
    }
}

#[deferred]
pub(super) async fn takes(text: String, #[state] ran: &Ran) {
    ran.note(&text);
}

#[deferred]
pub(super) fn plain_takes(text: String, #[state] ran: Ran) {
    ran.note(&text);
}

#[deferred]
pub(super) async fn fails(text: String, #[state] ran: &Ran) -> Result<(), &'static str> {
    ran.note(&text);
    Err("a failure planned by the test")
}

/// Returns the key of a task's payload.
pub(super) fn key(id: TaskId) -> String {
    format!("{id}.gae-tasks")
}

/// Returns an argument of about `bytes` bytes.
pub(super) fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Returns the program of these tasks.
pub(super) fn program(ran: &Ran) -> ClientBuilder {
    Client::builder().registry(crate::tasks_of(module_path!())).state(ran.clone())
}

/// A program with its payload store, its clock and its storage.
pub(super) struct World {
    pub(super) clock: ManualClock,
    pub(super) shelf: Shelf,
    pub(super) ran: Ran,
    pub(super) tasks: Client,
    backend: Arc<dyn Pull>,
    _folder: Option<tempfile::TempDir>,
}

impl World {
    fn new(backend: impl Pull, folder: Option<tempfile::TempDir>) -> Self {
        let backend: Arc<dyn Pull> = Arc::new(backend);
        let (clock, ran) = (ManualClock::new(), Ran::default());
        let shelf = Shelf::new("shelf", &clock);
        let builder = program(&ran).clock(clock.clone()).payload_store(shelf.clone());
        let tasks = builder.inline_payload(100).build(Arc::clone(&backend)).unwrap();
        Self { clock, shelf, ran, tasks, backend, _folder: folder }
    }

    /// Returns another client of the storage.
    pub(super) fn beside(&self, builder: ClientBuilder) -> Client {
        builder.build(Arc::clone(&self.backend)).unwrap()
    }

    /// Returns a world for each backend that workers lease from.
    pub(super) async fn on_each() -> Vec<Self> {
        let folder = tempfile::tempdir().unwrap();
        let sqlite =
            gae_tasks::backend::sqlite::Sqlite::open(folder.path().join("tasks.db")).await.unwrap();
        vec![Self::new(Memory::new(), None), Self::new(sqlite, Some(folder))]
    }

    /// Returns a world whose storage can fail too.
    pub(super) fn faulty() -> (Self, Faulty<Memory>) {
        let backend = Faulty::new(Memory::new());
        (Self::new(backend.clone(), None), backend)
    }

    /// Stores a task of 1,000 bytes.
    pub(super) async fn spill(&self) -> TaskId {
        takes::defer(text(1000)).on(&self.tasks).await.unwrap().id
    }

    /// Returns the last error of a stored task, in any state.
    pub(super) async fn last_error(&self, id: TaskId) -> String {
        let record = self.tasks.get(id).await.unwrap().expect("the task is stored");
        record.errors.last().map(|error| error.message.clone()).unwrap_or_default()
    }

    /// Runs a worker until `holds` returns true, without moving the clock.
    pub(super) async fn work_until(&self, holds: impl Fn(&Self) -> bool) {
        let done = Arc::new(Notify::new());
        let stop = Arc::clone(&done);
        let worker =
            self.tasks.worker().with_graceful_shutdown(async move { stop.notified().await });
        let worker = tokio::spawn(worker.into_future());
        let waited = async {
            while !holds(self) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.expect("the awaited event did not happen");
        done.notify_one();
        tokio::time::timeout(PATIENCE, worker)
            .await
            .expect("the worker did not stop")
            .unwrap()
            .unwrap();
    }
}
