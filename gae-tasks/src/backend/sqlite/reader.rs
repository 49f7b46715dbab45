//! The thread that reads: looking at tasks and counting them keeps no writer waiting.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::{self, Access};
use super::error::{Fault, File, Problem};

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// A handle on the thread; dropped, it lets the thread finish what waits for it, and waits for that.
#[derive(Debug)]
pub(super) struct Reader {
    sender: Option<Sender<Read>>,
    thread: Option<JoinHandle<()>>,
    file: File,
}

impl Reader {
    /// Opens the file, which exists, on a thread of its own.
    pub(super) async fn start(file: &File) -> Result<Self, Problem> {
        let (sender, receiver) = channel::<Read>();
        let (opened, answer) = oneshot::channel();
        let on_thread = file.clone();
        let run = move || match connection::open(&on_thread, Access::Read) {
            Ok(connection) => {
                _ = opened.send(Ok(()));
                receiver.into_iter().for_each(|read| read(&connection));
            }
            Err(problem) => _ = opened.send(Err(problem)),
        };
        let thread = thread::Builder::new().name("gae-tasks-read".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Problem::new(file, Fault::Open(error)))?;
        answer.await.map_err(|_| Problem::new(file, Fault::Stopped))??;
        Ok(Self { sender: Some(sender), thread: Some(thread), file: file.clone() })
    }

    /// Has `read` done, which sees one state of the file throughout.
    pub(super) fn call<T, R>(&self, read: R) -> impl Future<Output = Result<T, Problem>> + Send + use<T, R>
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = move |connection: &Connection| _ = reply.send(in_one_state(connection, read));
        // If the thread is gone, `work` is dropped, and the answer below says so.
        _ = self.sender.as_ref().map(|sender| sender.send(Box::new(work)));
        let file = self.file.clone();
        async move {
            let answer = answer.await.unwrap_or(Err(Fault::Stopped));
            answer.map_err(|fault| Problem::new(&file, fault))
        }
    }
}

fn in_one_state<T>(connection: &Connection, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
    let transaction = connection.unchecked_transaction()?;
    let answer = read(&transaction)?;
    transaction.finish()?;
    Ok(answer)
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.sender = None;
        _ = self.thread.take().map(JoinHandle::join);
    }
}
