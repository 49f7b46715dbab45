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
/// In rusqlite's build of SQLite, all connections of a process share one cache. A connection that
/// reads much takes pages over from the writer, which from then on drops every page after use:
/// together they are at the limit, although the writer's own share is not used up. This doubled the
/// cost of a task among a million.
const MAX_GETS: u32 = 32;

/// A read for the thread.
struct Read {
    /// Whether the read may scan all stored tasks.
    scans: bool,
    perform: Perform,
}

type Perform = Box<dyn FnOnce(Result<&Connection, Problem>) + Send>;

/// A handle on the thread. Dropping it waits until the thread has finished all pending reads.
#[derive(Debug)]
pub(super) struct Reader {
    sender: Option<Sender<Read>>,
    thread: Option<JoinHandle<()>>,
    opened: Opened,
}

impl Reader {
    /// Opens the existing file on its own thread.
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

    /// Runs `read`, which looks for a single row and sees one state of the file throughout.
    pub(super) fn get<T, R>(&self, read: R) -> impl Future<Output = Result<T, Problem>> + Send
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.call(false, read)
    }

    /// Runs `read`, which may scan all stored tasks and sees one state of the file throughout.
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
            // If the thread is gone, the read is dropped, and the code below reports this.
            _ = self.sender.as_ref().map(|sender| sender.send(Read { scans, perform }));
        }
        async {
            here?;
            answer.await.unwrap_or_else(|_| Err(Problem::new(self.opened.file(), Fault::Stopped)))
        }
    }
}

/// The body of the thread.
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

/// Opens a connection to the file that was opened, and not to another in its place.
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
            // The sender and the thread belong to the parent.
            return mem::forget((self.sender.take(), self.thread.take()));
        }
        self.sender = None;
        _ = self.thread.take().map(JoinHandle::join);
    }
}
