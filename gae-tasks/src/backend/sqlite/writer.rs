//! The one thread that writes: whatever waits for it shares a transaction, and with it the disk's slowest act.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::connection::{self, Durability};
use super::error::{Fault, File, Problem};
use super::lane::Catalogue;
use super::schema;
use super::session::Session;
use crate::time::{Now, Timestamp};

/// Most tasks of one transaction: more would make the first of them wait.
const MAX_WEIGHT: usize = 4_096;

/// Callers that were just answered often ask again at once; from so many on a synced transaction waits for them.
const WORTH_A_NAP: usize = 8;

/// How long it waits, at the most [`NAPS`] times.
const NAP: Duration = Duration::from_micros(20);

const NAPS: usize = 3;

/// An operation on the file that changes it.
pub(super) trait Request: Send + 'static {
    type Answer: Send + 'static;

    /// What its commit must survive.
    const DURABILITY: Durability;

    /// How many tasks it is about.
    fn weight(&self) -> usize {
        1
    }

    /// Whether [`look`](Self::look) may have an answer.
    const MAY_REST: bool = false;

    /// The answer, if it can be told without writing. Only asked where no transaction is under way anyway.
    fn look(&self, _store: &mut Store) -> Result<Option<Self::Answer>, Fault> {
        Ok(None)
    }

    /// Does it, within a transaction; done again from the start if that is rolled back.
    fn perform(&self, store: &mut Store) -> Result<Self::Answer, Fault>;

    /// Whether, with this answer, a task may have become due.
    fn wakes(_answer: &Self::Answer) -> bool {
        false
    }
}

/// What operations work on.
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) catalogue: Catalogue,
    pub(super) session: Session,
    /// Whether each item must leave nothing behind when it fails, because its neighbours are kept.
    pub(super) by_item: bool,
}

/// A handle on the thread; dropped, it lets the thread finish what waits for it, and waits for that.
#[derive(Debug)]
pub(super) struct Writer {
    sender: Option<Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
    file: File,
    transactions: Arc<AtomicU64>,
}

impl Writer {
    /// Opens the file on a thread of its own.
    pub(super) async fn start(path: PathBuf, wakeups: watch::Sender<u64>) -> Result<Self, Problem> {
        let (sender, receiver) = channel();
        let (opened, answer) = oneshot::channel();
        let transactions = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&transactions);
        let unopened = File::new(&path);
        let stopped = |_| Problem::new(&unopened, Fault::Stopped);
        let run = move || match open(&path) {
            Ok((file, store)) => {
                _ = opened.send(Ok(file.clone()));
                Desk::new(receiver, store, file, wakeups, counter).run();
            }
            Err(problem) => _ = opened.send(Err(problem)),
        };
        let thread = thread::Builder::new().name("gae-tasks-write".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Problem::new(&unopened, Fault::Open(error)))?;
        let file = answer.await.map_err(stopped)??;
        Ok(Self { sender: Some(sender), thread: Some(thread), file, transactions })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How many transactions were committed.
    pub(super) fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Has `request` done, together with whatever else waits.
    pub(super) fn call<R: Request>(
        &self,
        request: R,
    ) -> impl Future<Output = Result<R::Answer, Problem>> + Send + use<R> {
        let (reply, answer) = oneshot::channel();
        let call = Box::new(Call { request, answer: None, reply });
        // If the thread is gone, `call` is dropped, and the answer below says so.
        _ = self.sender.as_ref().map(|sender| sender.send(call));
        let file = self.file.clone();
        async move { answer.await.unwrap_or_else(|_| Err(Problem::new(&file, Fault::Stopped))) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        _ = self.thread.take().map(JoinHandle::join);
    }
}

fn open(path: &std::path::Path) -> Result<(File, Store), Problem> {
    let (file, mut connection) = connection::create(path)?;
    schema::migrate(&mut connection).map_err(|fault| Problem::new(&file, fault))?;
    let session = Session::new(&file);
    Ok((file, Store { connection, catalogue: Catalogue::default(), session, by_item: false }))
}

/// The moment a request happens.
pub(super) fn moment(now: Now) -> Timestamp {
    now.resolve(|| SystemTime::now().into())
}

/// The thread's own side.
struct Desk {
    receiver: Receiver<Box<dyn Work>>,
    store: Store,
    file: File,
    wakeups: watch::Sender<u64>,
    transactions: Arc<AtomicU64>,
    /// What `PRAGMA synchronous` stands at.
    synchronous: Durability,
    /// What the next transaction is made of.
    waiting: Vec<Box<dyn Work>>,
    /// How many callers it may have.
    expected: usize,
}

impl Desk {
    fn new(
        receiver: Receiver<Box<dyn Work>>,
        store: Store,
        file: File,
        wakeups: watch::Sender<u64>,
        transactions: Arc<AtomicU64>,
    ) -> Self {
        let (synchronous, waiting) = (Durability::Full, Vec::new());
        Self { receiver, store, file, wakeups, transactions, synchronous, waiting, expected: 0 }
    }

    fn run(mut self) {
        while let Some(group) = self.gather() {
            self.answer(group);
        }
        self.store.session.end(&mut self.store.connection, &mut self.store.catalogue);
    }

    /// What waits, or else the next call that comes; `None` when none can come any more.
    fn gather(&mut self) -> Option<Vec<Box<dyn Work>>> {
        if self.waiting.is_empty() {
            self.waiting.push(self.receiver.recv().ok()?);
        }
        self.fetch();
        // Without these naps the first caller to come back makes all others wait for a transaction of its own.
        if self.expected >= WORTH_A_NAP && self.waiting.iter().any(|work| work.durability() == Durability::Full) {
            for _ in 0..NAPS {
                let before = self.waiting.len();
                if before >= self.expected {
                    break;
                }
                thread::sleep(NAP);
                self.fetch();
                if self.waiting.len() == before {
                    break;
                }
            }
        }
        Some(mem::take(&mut self.waiting))
    }

    /// Takes what has come in, as much as fits a transaction.
    fn fetch(&mut self) {
        let mut weight: usize = self.waiting.iter().map(|work| work.weight()).sum();
        while weight < MAX_WEIGHT
            && let Ok(work) = self.receiver.try_recv()
        {
            weight += work.weight();
            self.waiting.push(work);
        }
    }

    fn answer(&mut self, mut group: Vec<Box<dyn Work>>) {
        self.look(&mut group);
        if group.is_empty() {
            return;
        }
        self.store.by_item = false;
        if let Err(problem) = self.transact(&mut group) {
            self.answer_each(&mut group, &problem);
        }
        // These cannot be callers that are answered now: so many may be waiting next time.
        self.fetch();
        self.expected = self.waiting.len() + group.len();
        if group.iter().any(|work| work.wakes()) {
            self.wakeups.send_modify(|count| *count = count.wrapping_add(1));
        }
        for work in group {
            work.finish();
        }
    }

    /// Answers what there is nothing to write for, if that is so of all.
    fn look(&mut self, group: &mut Vec<Box<dyn Work>>) {
        if !group.iter().all(|work| work.may_rest()) {
            return;
        }
        let mut rest = Vec::new();
        for mut work in mem::take(group) {
            // A failed look is made good, or reported, by the transaction.
            if self.store.catalogue.refresh(&self.store.connection).is_ok() && work.look(&mut self.store) {
                work.finish();
            } else {
                rest.push(work);
            }
        }
        *group = rest;
    }

    /// After their common transaction failed with `problem`, gives each member one of its own, so that a bad one
    /// fails alone.
    fn answer_each(&mut self, group: &mut [Box<dyn Work>], problem: &Problem) {
        if !problem.may_spare_others() {
            return group.iter_mut().for_each(|work| work.fail(problem.clone()));
        }
        self.store.by_item = true;
        for work in group {
            if let Err(problem) = self.transact(std::slice::from_mut(work)) {
                work.fail(problem);
            }
        }
    }

    /// Performs all in one transaction: all of it happens, or nothing.
    fn transact(&mut self, group: &mut [Box<dyn Work>]) -> Result<(), Problem> {
        let done = self.try_transact(group);
        if done.is_ok() {
            self.transactions.fetch_add(1, Ordering::Relaxed);
            self.store.session.bury();
            return Ok(());
        }
        self.store.catalogue.forget();
        self.store.session.spare();
        if !self.store.connection.is_autocommit() {
            _ = self.store.connection.execute_batch("ROLLBACK");
        }
        done.map_err(|fault| Problem::new(&self.file, fault))
    }

    fn try_transact(&mut self, group: &mut [Box<dyn Work>]) -> Result<(), Fault> {
        let durability = group.iter().map(|work| work.durability()).max();
        self.survive(durability.unwrap_or(Durability::Full))?;
        self.store.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.store.catalogue.refresh(&self.store.connection)?;
        for work in group {
            work.perform(&mut self.store)?;
        }
        self.store.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Makes the next commit survive what it must.
    fn survive(&mut self, durability: Durability) -> Result<(), Fault> {
        if self.synchronous != durability {
            connection::set(&self.store.connection, "synchronous", durability.level())?;
            self.synchronous = durability;
        }
        Ok(())
    }
}

/// A call with its request's type forgotten.
trait Work: Send {
    fn weight(&self) -> usize;
    fn durability(&self) -> Durability;
    fn may_rest(&self) -> bool;
    fn look(&mut self, store: &mut Store) -> bool;
    fn perform(&mut self, store: &mut Store) -> Result<(), Fault>;
    fn fail(&mut self, problem: Problem);
    fn wakes(&self) -> bool;
    fn finish(self: Box<Self>);
}

struct Call<R: Request> {
    request: R,
    answer: Option<Result<R::Answer, Problem>>,
    reply: oneshot::Sender<Result<R::Answer, Problem>>,
}

impl<R: Request> Work for Call<R> {
    fn weight(&self) -> usize {
        self.request.weight()
    }

    fn durability(&self) -> Durability {
        R::DURABILITY
    }

    fn may_rest(&self) -> bool {
        R::MAY_REST
    }

    fn look(&mut self, store: &mut Store) -> bool {
        self.answer = self.request.look(store).ok().flatten().map(Ok);
        self.answer.is_some()
    }

    fn perform(&mut self, store: &mut Store) -> Result<(), Fault> {
        self.answer = Some(Ok(self.request.perform(store)?));
        Ok(())
    }

    fn fail(&mut self, problem: Problem) {
        self.answer = Some(Err(problem));
    }

    fn wakes(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.as_ref().is_ok_and(R::wakes))
    }

    fn finish(self: Box<Self>) {
        if let Some(answer) = self.answer {
            // A caller that no longer waits has dropped its future, which may or may not have happened.
            _ = self.reply.send(answer);
        }
    }
}
