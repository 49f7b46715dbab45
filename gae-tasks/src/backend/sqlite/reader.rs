//! The thread that reads: looking at tasks and counting them keeps no writer waiting.

use std::mem;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::{self, Access};
use super::error::{Fault, Problem};
use super::opened::Opened;

/// How many single tasks are read before the connection is closed.
///
/// As rusqlite builds SQLite, the caches of all connections of a process are one: one that reads much takes pages over
/// from the writer, which from then on drops every page after use, because all together are at their limit while its
/// own share is not used up. That doubled the cost of a task among a million.
const MAX_GETS: u32 = 32;

/// What is to be read.
struct Read {
    /// Whether it may go through all that is stored.
    scans: bool,
    perform: Perform,
}

type Perform = Box<dyn FnOnce(Result<&Connection, Problem>) + Send>;

/// A handle on the thread; dropped, it lets the thread finish what waits for it, and waits for that.
#[derive(Debug)]
pub(super) struct Reader {
    sender: Option<Sender<Read>>,
    thread: Option<JoinHandle<()>>,
    opened: Opened,
}

impl Reader {
    /// Opens the file, which exists, on a thread of its own.
    pub(super) async fn start(opened: &Opened) -> Result<Self, Problem> {
        let (sender, receiver) = channel::<Read>();
        let (reply, answer) = oneshot::channel();
        let (file, on_thread) = (opened.file(), opened.clone());
        let run = move || match open(&on_thread) {
            Ok(connection) => {
                _ = reply.send(Ok(()));
                answer_all(receiver, &on_thread, connection);
            }
            Err(problem) => _ = reply.send(Err(problem)),
        };
        let thread = thread::Builder::new().name("gae-tasks-read".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Problem::new(file, Fault::Open(error)))?;
        answer.await.map_err(|_| Problem::new(file, Fault::Stopped))??;
        Ok(Self { sender: Some(sender), thread: Some(thread), opened: opened.clone() })
    }

    /// Has `read` done, which looks for a single row and sees one state of the file throughout.
    pub(super) fn get<T, R>(&self, read: R) -> impl Future<Output = Result<T, Problem>> + Send
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.call(false, read)
    }

    /// Has `read` done, which may go through all that is stored, and sees one state of the file throughout.
    pub(super) fn scan<T, R>(&self, read: R) -> impl Future<Output = Result<T, Problem>> + Send
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.call(true, read)
    }

    fn call<T, R>(&self, scans: bool, read: R) -> impl Future<Output = Result<T, Problem>> + Send
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let opened = self.opened.clone();
        let read = move |connection: &Connection| {
            let answer =
                in_one_state(connection, read).and_then(|answer| opened.check().map(|()| answer));
            answer.map_err(|fault| Problem::new(opened.file(), fault))
        };
        let perform =
            Box::new(move |connection: Result<&_, _>| _ = reply.send(connection.and_then(read)));
        let here = self.opened.check_process();
        if here.is_ok() {
            // If the thread is gone, the read is dropped, and the answer below says so.
            _ = self.sender.as_ref().map(|sender| sender.send(Read { scans, perform }));
        }
        async {
            here?;
            answer.await.unwrap_or_else(|_| Err(Problem::new(self.opened.file(), Fault::Stopped)))
        }
    }
}

/// The thread's own side.
fn answer_all(reads: Receiver<Read>, opened: &Opened, connection: Connection) {
    let mut in_use = Some((connection, 0));
    for Read { scans, perform } in reads {
        let (connection, gets) = match in_use.take().map_or_else(|| Ok((open(opened)?, 0)), Ok) {
            Ok(in_use) => in_use,
            Err(problem) => {
                perform(Err(problem));
                continue;
            }
        };
        perform(Ok(&connection));
        if !scans && gets < MAX_GETS {
            in_use = Some((connection, gets + 1));
        }
    }
}

/// A connection to the file that was opened, and to no other that stands in its place.
fn open(opened: &Opened) -> Result<Connection, Problem> {
    opened.check().map_err(|fault| Problem::new(opened.file(), fault))?;
    connection::open(opened.file(), Access::Read)
}

fn in_one_state<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.unchecked_transaction()?;
    let answer = read(&transaction)?;
    transaction.finish()?;
    Ok(answer)
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.opened.is_by_this_process() {
            // Both ends of the thread are the parent's.
            return mem::forget((self.sender.take(), self.thread.take()));
        }
        self.sender = None;
        _ = self.thread.take().map(JoinHandle::join);
    }
}
