//! The one thread that writes: whatever waits for it shares a transaction, and with it the disk's slowest act.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::call::{Call, Request, Work};
use super::connection::{self, Durability};
use super::error::{Fault, File, Problem};
use super::fresh::Fresh;
use super::inbox::{Arrival, Inbox, Outlet};
use super::lane::Catalogue;
use super::listener::{Listener, Listening};
use super::news::{self, Found, News, Search};
use super::opened::Opened;
use super::schema;
use super::session::Session;
use super::stray::Strays;
use super::turn::Turn;
use crate::time::{Now, Timestamp};

/// So many callers that were just answered are worth waiting for: they are likely to ask again.
const WORTH_WAITING: usize = 4;

/// A transaction that has so many calls waits for no more: others compute while the disk is busy with it.
const ENOUGH: usize = 640;

/// The longest wait of a transaction.
const MAX_PATIENCE: Duration = Duration::from_millis(2);

/// What operations work on.
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) catalogue: Catalogue,
    pub(super) session: Session,
    /// New tasks that are yet to be written.
    pub(super) fresh: Fresh,
    pub(super) manner: Manner,
    pub(super) news: News,
    pub(super) strays: Strays,
}

/// How a transaction is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Rows are gathered into statements that write many.
    Gathered,
    /// Row by row, so that each can be told from the others.
    RowByRow,
    /// Row by row, and each must leave nothing behind when it fails, because its neighbours are kept.
    Apart,
}

/// Does `work` for one of many. Where each stands apart, one that the database refuses leaves nothing behind and is
/// returned as the inner error; else it fails all.
pub(super) fn one<T>(
    manner: Manner,
    connection: &Connection,
    catalogue: &mut Catalogue,
    work: impl FnOnce(&mut Catalogue) -> Result<T, Fault>,
) -> Result<Result<T, Fault>, Fault> {
    if manner != Manner::Apart {
        return work(catalogue).map(Ok);
    }
    connection.execute_batch("SAVEPOINT item")?;
    match work(catalogue) {
        Err(fault) if fault.is_of_data() => {
            connection.execute_batch("ROLLBACK TO item; RELEASE item")?;
            catalogue.forget();
            catalogue.refresh(connection)?;
            Ok(Err(fault))
        }
        Err(fault) => Err(fault),
        Ok(done) => {
            connection.execute_batch("RELEASE item")?;
            Ok(Ok(done))
        }
    }
}

/// A handle on the thread; dropped, it lets the thread finish what waits for it, and waits for that.
#[derive(Debug)]
pub(super) struct Writer {
    inbox: Inbox,
    thread: Option<JoinHandle<()>>,
    opened: Opened,
    transactions: Arc<AtomicU64>,
    /// Started with the first worker.
    listener: OnceLock<Option<Listener>>,
    listening: Arc<Listening>,
}

impl Writer {
    /// Opens the file on a thread of its own.
    pub(super) async fn start(path: PathBuf, wakeups: watch::Sender<u64>) -> Result<Self, Problem> {
        let (inbox, outlet) = Inbox::new();
        let (reply, answer) = oneshot::channel();
        let transactions = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&transactions);
        let listening = Arc::<Listening>::default();
        let of_writer = Arc::clone(&listening);
        let unopened = File::new(&path);
        let stopped = |_| Problem::new(&unopened, Fault::Stopped);
        let run = move || match open(&path) {
            Ok((opened, store)) => {
                _ = reply.send(Ok(opened.clone()));
                Desk::new(outlet, store, opened, wakeups, counter, of_writer).run();
            }
            Err(problem) => _ = reply.send(Err(problem)),
        };
        let thread = thread::Builder::new().name("gae-tasks-write".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Problem::new(&unopened, Fault::Open(error)))?;
        let closing = CloseOnDrop(&inbox);
        let opened = answer.await.map_err(stopped)??;
        mem::forget(closing);
        Ok(Self { inbox, thread: Some(thread), opened, transactions, listener: OnceLock::new(), listening })
    }

    pub(super) fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Hears of what other processes write, from now on.
    pub(super) fn listen(&self) {
        self.listener.get_or_init(|| Listener::start(&self.opened, &self.inbox, &self.listening));
    }

    /// How many transactions were committed.
    pub(super) fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Has `request` done, together with whatever else waits.
    pub(super) fn call<R: Request>(&self, request: R) -> impl Future<Output = Result<R::Answer, Problem>> + Send {
        let (call, answered) = Call::new(request);
        let here = self.opened.check_process();
        if here.is_ok() {
            // If the thread is gone, the call is dropped, and the answer below says so.
            self.inbox.put(call);
        }
        async {
            here?;
            let answer = answered.await.ok().and_then(|call| call.into_answer());
            answer.unwrap_or_else(|| Err(Problem::new(self.opened.file(), Fault::Stopped)))
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.opened.is_by_this_process() {
            // The threads are the parent's, as are the file and its session.
            _ = self.listener.take().flatten().map(Listener::forget);
            return mem::forget(self.thread.take());
        }
        drop(self.listener.take());
        self.inbox.close();
        _ = self.thread.take().map(JoinHandle::join);
    }
}

/// If nobody waits for the file to be opened any more, the thread that opens it ends.
struct CloseOnDrop<'a>(&'a Inbox);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn open(path: &Path) -> Result<(Opened, Store), Problem> {
    let (opened, mut connection) = connection::create(path)?;
    schema::ensure(&mut connection).map_err(|fault| Problem::new(opened.file(), fault))?;
    let session = Session::new(opened.file());
    let (catalogue, fresh, news, strays) = Default::default();
    Ok((opened, Store { connection, catalogue, session, fresh, manner: Manner::Gathered, news, strays }))
}

/// The moment a request happens.
pub(super) fn moment(now: Now) -> Timestamp {
    now.resolve(|| SystemTime::now().into())
}

/// The thread's own side.
struct Desk {
    outlet: Outlet,
    store: Store,
    opened: Opened,
    /// Whether the last check found the files moved or gone.
    is_cut_off: bool,
    turn: Turn,
    wakeups: watch::Sender<u64>,
    transactions: Arc<AtomicU64>,
    listening: Arc<Listening>,
    search: Search,
    /// What `PRAGMA synchronous` stands at.
    synchronous: Durability,
    /// How many callers the next transaction may have.
    expected: usize,
    /// How long the last synced commit took: waiting for others longer than that costs more than a commit of their own.
    patience: Duration,
}

impl Desk {
    fn new(
        outlet: Outlet,
        store: Store,
        opened: Opened,
        wakeups: watch::Sender<u64>,
        transactions: Arc<AtomicU64>,
        listening: Arc<Listening>,
    ) -> Self {
        let (turn, is_cut_off) = (Turn::new(&opened), false);
        let (synchronous, expected, patience) = (Durability::Full, 0, Duration::ZERO);
        Self {
            outlet,
            store,
            opened,
            is_cut_off,
            turn,
            wakeups,
            transactions,
            listening,
            search: Search::default(),
            synchronous,
            expected,
            patience,
        }
    }

    fn run(mut self) {
        let mut group = Vec::new();
        while self.gather(&mut group) {
            self.answer(&mut group);
        }
        if self.store.session.has_begun() {
            let _claim = self.turn.claim();
            self.store.session.end(&mut self.store.connection, &mut self.store.catalogue);
        }
    }

    /// What waits, or else the next call that comes; `false` when none can come any more.
    fn gather(&mut self, group: &mut Vec<Box<dyn Work>>) -> bool {
        loop {
            let has_workers = self.wakeups.receiver_count() > 0;
            let is_deaf = has_workers && !self.listening.is_on.load(Ordering::Relaxed);
            let patience = if is_deaf { Some(news::INTERVAL) } else { self.search.again() };
            match self.outlet.wait(patience) {
                Arrival::Calls => break self.outlet.take(group),
                Arrival::Ring => {
                    self.search.begin();
                    self.look_for_news();
                }
                Arrival::Nothing => self.look_for_news(),
                Arrival::End => return false,
            }
        }
        true
    }

    /// Wakes the workers if another process has let a task become due. What fails is left to their next look.
    fn look_for_news(&mut self) {
        if self.wakeups.receiver_count() == 0 {
            return self.search.end();
        }
        let Store { connection, catalogue, news, .. } = &mut self.store;
        let found = news.look(connection, catalogue, moment(Now::Storage)).unwrap_or(Found::Unchanged);
        self.search.note(found);
        let pause = u64::try_from(self.search.pause().as_millis()).unwrap_or_default();
        self.listening.pause.store(pause, Ordering::Relaxed);
        if matches!(found, Found::StillDue | Found::Sooner) {
            self.wake();
        }
    }

    fn wake(&self) {
        self.wakeups.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn answer(&mut self, group: &mut Vec<Box<dyn Work>>) {
        self.look(group);
        if group.is_empty() {
            return;
        }
        if let Err(problem) = self.transact_together(group) {
            self.answer_each(group, &problem);
        }
        // Those that wait by now cannot be callers that are answered now: so many may be waiting next time.
        let again = group.iter().filter(|work| work.durability() == Durability::Full).count();
        self.expected = if again >= WORTH_WAITING { self.outlet.len() + again } else { 0 };
        if group.iter().any(|work| work.wakes()) {
            self.wake();
        }
        for work in group.drain(..) {
            work.finish();
        }
    }

    /// Answers what there is nothing to write for, if that is so of all.
    fn look(&mut self, group: &mut Vec<Box<dyn Work>>) {
        if !group.iter().all(|work| work.may_rest()) {
            return;
        }
        self.is_cut_off = self.opened.check().is_err();
        if self.is_cut_off {
            return;
        }
        // A failed look is made good, or reported, by the transaction.
        let store = &mut self.store;
        let mut look =
            |work: &mut Box<dyn Work>| store.catalogue.refresh(&store.connection).is_ok() && work.look(store);
        group.extract_if(.., |work| look(work)).for_each(|work| work.finish());
    }

    /// Performs all in one transaction, in the fastest manner that can be.
    fn transact_together(&mut self, group: &mut Vec<Box<dyn Work>>) -> Result<(), Problem> {
        self.store.manner = Manner::Gathered;
        let done = self.transact(group);
        if !matches!(&done, Err(problem) if problem.is_repetition()) {
            return done;
        }
        self.store.manner = Manner::RowByRow;
        self.transact(group)
    }

    /// After their common transaction failed with `problem`, gives each member one of its own, so that a bad one
    /// fails alone.
    fn answer_each(&mut self, group: &mut Vec<Box<dyn Work>>, problem: &Problem) {
        if !problem.may_spare_others() {
            return group.iter_mut().for_each(|work| work.fail(problem.clone()));
        }
        self.store.manner = Manner::Apart;
        for work in mem::take(group) {
            let mut alone = vec![work];
            if let Err(problem) = self.transact(&mut alone) {
                alone.iter_mut().for_each(|work| work.fail(problem.clone()));
            }
            group.append(&mut alone);
        }
    }

    /// Performs all in one transaction: all of it happens, or nothing.
    fn transact(&mut self, group: &mut Vec<Box<dyn Work>>) -> Result<(), Problem> {
        let done = self.try_transact(group).map_err(|fault| Problem::new(self.opened.file(), fault));
        self.is_cut_off = matches!(&done, Err(problem) if problem.is_cut_off());
        if done.is_ok() {
            self.transactions.fetch_add(1, Ordering::Relaxed);
            self.store.session.bury();
            return Ok(());
        }
        self.store.fresh.forget();
        self.store.catalogue.forget();
        self.store.session.spare();
        if !self.store.connection.is_autocommit() {
            _ = self.store.connection.execute_batch("ROLLBACK");
        }
        done
    }

    fn try_transact(&mut self, group: &mut Vec<Box<dyn Work>>) -> Result<(), Fault> {
        if self.is_cut_off {
            // Nothing more is changed in a file that is gone, so every caller fails.
            self.opened.check()?;
        }
        let durability = group.iter().map(|work| work.durability()).max();
        self.survive(durability.unwrap_or(Durability::Full))?;
        connection::begin(&self.store.connection, &mut self.turn)?;
        self.store.catalogue.refresh(&self.store.connection)?;
        let waits = durability == Some(Durability::Full) && self.store.manner == Manner::Gathered;
        let (mut done, mut patience) = (0, self.patience);
        loop {
            for work in group.iter_mut().skip(done) {
                if !work.only_adds() {
                    self.store.fresh.write(&self.store.connection)?;
                }
                work.perform(&mut self.store)?;
            }
            done = group.len();
            if !waits || !self.board(group, &mut patience) {
                break;
            }
        }
        self.store.fresh.write(&self.store.connection)?;
        self.commit()?;
        // SQLite commits into a file that has lost its name as into any other.
        self.opened.check()
    }

    /// Lets callers join the transaction that were answered by the last one and ask again: else the first of them to
    /// come back would make all others wait for a transaction of its own. Takes off `patience` what it waits.
    fn board(&self, group: &mut Vec<Box<dyn Work>>, patience: &mut Duration) -> bool {
        let before = group.len();
        let expected = self.expected.min(ENOUGH);
        if before < expected && !patience.is_zero() {
            let begun = Instant::now();
            self.outlet.wait_for(expected - before, *patience);
            self.outlet.take(group);
            *patience = patience.saturating_sub(begun.elapsed());
        }
        group.len() > before
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let begun = Instant::now();
        self.store.connection.prepare_cached("COMMIT")?.execute([])?;
        if self.synchronous == Durability::Full {
            self.patience = begun.elapsed().min(MAX_PATIENCE);
        }
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
