//! The one thread that writes: waiting calls share a transaction, and with it the disk's sync, the
//! slowest step.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::call::{Call, Request, Work};
use super::committer::Committer;
use super::connection;
use super::database::Database;
use super::error::{Fault, File, Problem};
use super::grouping::Grouping;
use super::inbox::{Arrival, Inbox, Outlet};
use super::listener::{Listener, Listening};
use super::opened::Opened;
use super::schema;
use super::session::Session;

/// The writer stays awake for a caller that calls again this soon: the next call may come sooner
/// than the thread would wake.
const BRISK: Duration = Duration::from_micros(150);

/// A handle on the thread. Dropping it waits until the thread has finished all pending calls.
pub(super) struct Writer {
    inbox: Inbox,
    thread: Option<JoinHandle<()>>,
    /// The committer, which the thread shares with callers that block.
    committer: Option<Arc<Shared>>,
    opened: Opened,
    transactions: Arc<AtomicU64>,
    /// Started with the first worker.
    listener: OnceLock<Option<Listener>>,
    listening: Arc<Listening>,
}

impl Writer {
    /// Opens the file on its own thread.
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
            Ok((opened, database)) => {
                let committer =
                    Committer::new(database, opened.clone(), wakeups, counter, of_writer);
                let committer = Arc::new(Mutex::new(Some(committer)));
                _ = reply.send(Ok((opened, Arc::clone(&committer))));
                run(&outlet, &committer);
            }
            Err(problem) => _ = reply.send(Err(problem)),
        };
        let thread = thread::Builder::new().name("gae-tasks-write".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Problem::new(&unopened, Fault::Open(error)))?;
        let closing = CloseOnDrop(&inbox);
        let (opened, committer) = answer.await.map_err(stopped)??;
        mem::forget(closing);
        let (thread, committer, listener) = (Some(thread), Some(committer), OnceLock::new());
        Ok(Self { inbox, thread, committer, opened, transactions, listener, listening })
    }

    pub(super) fn opened(&self) -> &Opened {
        &self.opened
    }

    #[cfg(test)]
    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Starts to listen for writes of other processes.
    pub(super) fn listen(&self) {
        self.listener.get_or_init(|| Listener::start(&self.opened, &self.inbox, &self.listening));
    }

    /// Returns the number of committed transactions.
    pub(super) fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Performs `request`, together with all other waiting calls.
    pub(super) fn call<R: Request>(
        &self,
        request: R,
    ) -> impl Future<Output = Result<R::Output, Problem>> + Send {
        let (call, answered) = Call::new(request);
        let here = self.opened.check_process();
        if here.is_ok() {
            // If the thread is gone, the call is dropped, and the code below reports this.
            self.inbox.put(call);
        }
        async {
            here?;
            let answer = answered.await.and_then(|call| call.into_answer());
            answer.unwrap_or_else(|| Err(Problem::new(self.opened.file(), Fault::Stopped)))
        }
    }

    /// Like [`call`](Self::call), for a caller that may block: performs `request` on this thread,
    /// if nobody else writes.
    pub(super) fn call_here<R: Request>(&self, request: R) -> Result<R::Output, Problem> {
        self.opened.check_process()?;
        let (call, answered) = Call::new(request);
        let mut group: Vec<Box<dyn Work>> = vec![call];
        if self.inbox.is_empty()
            && let Some(Ok(committer)) = self.committer.as_deref().map(Mutex::try_lock)
        {
            at(committer, |committer| committer.answer_here(&mut group));
        }
        group.into_iter().for_each(|call| self.inbox.put(call));
        let answer = pollster::block_on(answered).and_then(|call| call.into_answer());
        answer.unwrap_or_else(|| Err(Problem::new(self.opened.file(), Fault::Stopped)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.opened.is_by_this_process() {
            // The threads belong to the parent, as do the file and its session.
            _ = self.listener.take().flatten().map(Listener::forget);
            mem::forget(self.committer.take());
            return mem::forget(self.thread.take());
        }
        drop(self.listener.take());
        self.inbox.close();
        _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Closes the inbox when dropped: if nobody waits any more for the file to be opened, the thread
/// that opens it ends.
struct CloseOnDrop<'a>(&'a Inbox);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn open(path: &Path) -> Result<(Opened, Database), Problem> {
    let (opened, mut connection) = connection::create(path)?;
    schema::ensure(&mut connection).map_err(|fault| Problem::new(opened.file(), fault))?;
    let session = Session::new(opened.file());
    let (catalogue, fresh, news, strays) = Default::default();
    Ok((
        opened,
        Database {
            connection,
            catalogue,
            session,
            fresh,
            grouping: Grouping::Gathered,
            news,
            strays,
            has_opened: false,
        },
    ))
}

/// The committer, until a panic there.
type Shared = Mutex<Option<Committer>>;

/// Runs `work` on the committer, if there still is one. A panic drops the committer: its connection
/// would keep the file locked for every process as long as the handle lives.
fn at<T>(
    committer: MutexGuard<'_, Option<Committer>>,
    work: impl FnOnce(&mut Committer) -> T,
) -> Option<T> {
    struct Seat<'a>(MutexGuard<'a, Option<Committer>>, bool);
    impl Drop for Seat<'_> {
        fn drop(&mut self) {
            if !self.1 {
                drop(self.0.take());
            }
        }
    }
    let mut seat = Seat(committer, false);
    let done = seat.0.as_mut().map(work);
    seat.1 = true;
    done
}

/// The body of the thread: answers calls until none can come any more. After a panic at the
/// committer, here or in a caller's thread, the thread ends, and all waiting calls fail.
fn run(outlet: &Outlet, shared: &Shared) {
    let (mut group, mut answered, mut is_brisk) = (Vec::new(), None, false);
    loop {
        if is_brisk {
            outlet.linger();
        }
        let Some(patience) =
            shared.lock().ok().and_then(|committer| at(committer, Committer::patience))
        else {
            return;
        };
        let arrival = outlet.wait(patience);
        is_brisk =
            arrival == Arrival::Calls && answered.is_some_and(|at: Instant| at.elapsed() < BRISK);
        let Ok(committer) = shared.lock() else { return };
        let goes_on = at(committer, |committer| match arrival {
            Arrival::Calls => {
                outlet.take(&mut group);
                committer.answer(&mut group, outlet);
                answered = Some(Instant::now());
                true
            }
            Arrival::Ring => {
                committer.look_around();
                true
            }
            Arrival::Nothing => {
                committer.look_for_news();
                true
            }
            Arrival::End => {
                committer.end();
                false
            }
        });
        if goes_on != Some(true) {
            return;
        }
    }
}
