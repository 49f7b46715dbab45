//! The embedded, durable backend: one SQLite file, shared by the processes of a host.

mod admin;
mod bury;
mod call;
mod cancel;
mod catalogue;
mod commits;
mod committer;
mod connection;
mod database;
mod delete_queue;
mod disk;
mod enqueue;
mod error;
mod fresh;
mod grouping;
mod held;
mod in_tx;
mod inbox;
mod lane;
mod lane_row;
mod lease;
mod limits;
mod listener;
mod lost;
mod members;
mod merge;
mod name;
mod news;
mod opened;
mod process;
mod queue_row;
mod reader;
mod ready;
mod release;
mod reply;
mod row;
mod sample;
mod schedules;
mod schema;
mod schemas;
mod sensitive;
mod session;
mod settle;
mod stats;
mod stray;
mod sweep;
mod task;
mod task_rows;
mod tick;
mod turn;
mod unique;
mod unreadable;
mod waiting;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use self::admin::{
    Delete, PutQueue, RaiseRetention, ReplaceConfig, Replay, RunNow, SetPaused, open_tasks,
};
use self::call::Request;
use self::cancel::Cancel;
use self::commits::Commits;
use self::database::moment;
use self::enqueue::Storing;
use self::error::NAME;
use self::lease::Leasing;
use self::reader::Reader;
use self::writer::Writer;
use super::lifecycle::Holder;
use super::{
    Backend, BackendFuture, Bury, Cancelled, Capabilities, ChangeSchedule, DeadLetterCheck,
    DeleteQueue, Due, DueSchedules, Enqueue, Extend, Lease, LeaseRef, Leased, List, Pull, Purged,
    PutSchedules, QueueRecord, ReplaceQueue, RouteStats, Sample, Sampled, ScheduleChanged,
    SchedulesPut, Settle, Settled, StoredSchedule, Sweep, Swept, TaskRecord, TaskRequest, Tick,
    UnreadQueue, sealed,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName};
use crate::time::Now;

/// Tasks in a SQLite file.
///
/// A task whose `defer` was answered survives a killed process and a loss of power. Any number of
/// processes of one host may share the file. Simultaneous calls are written in one transaction, so
/// many callers together are many times faster than one after another. The backend needs no async
/// runtime.
///
/// SQLite keeps a `-wal` and a `-shm` file beside the database, and each process that leases keeps
/// one `-session-….lock` file. Dropping the last handle finishes all pending calls and closes the
/// file.
///
/// Leave these files alone while a program has them open: move, replace or delete them when all
/// programs have ended. On Unix every commit checks, before it is answered, that the files are
/// still where they were opened. If not, this and all further calls fail with an error that names
/// the file, until the same files are back. Removing a file *after* the answer removes its tasks.
///
/// SQLite 3.7.0 to 3.51.2 has the [WAL-reset bug](https://sqlite.org/wal.html#walresetbug): where
/// several connections write and checkpoint a file, it can lose committed writes or corrupt the
/// file. A program that is linked to an SQLite older than 3.51.3 therefore cannot open a file
/// (3.50.7 and 3.44.6, to which the fix was backported, and later patches of these two are
/// accepted). The SQLite that the crate bundles has the fix. Other programs that open the file,
/// such as backup tools and the `sqlite3` shell, have their own SQLite and need the fix too:
/// `sqlite3 --version` prints the version.
///
/// A program links one SQLite, so all its crates that use SQLite must agree on the crate
/// `libsqlite3-sys`. `rusqlite` 0.39 to 0.43 is accepted. With sqlx 0.9, whose feature `sqlite`
/// requires `libsqlite3-sys` below 0.38, Cargo chooses `rusqlite` 0.39; sqlx 0.8, and with it
/// sea-orm 1, links an SQLite with the bug and cannot be in the same program.
///
/// SQLite does not survive `fork` (without `exec`): in a child that is forked while a file is open,
/// all calls fail, and so does opening any file. Fork first, and open the file in each process
/// separately. Such a child also keeps the lock that shows that its parent lives: if the parent is
/// killed, its leased tasks become free when the leases expire, not at once.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("gae-tasks-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let file = folder.join("tasks.db");
/// use gae_tasks::{Client, backend::sqlite::Sqlite};
///
/// let tasks = Client::builder().build(Sqlite::open(&file).await?)?;
/// assert_eq!(tasks.stats().await?.open(), 0);
/// # drop(tasks);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
pub struct Sqlite {
    // Dropped in this order: the writer's connection must close last, because the last one copies
    // the log into the file.
    reader: Reader,
    commits: Commits,
    writer: Writer,
    wakeups: watch::Sender<u64>,
    /// Changes whenever the cancellation of a leased task was requested through this process.
    cancels: watch::Sender<u64>,
    schedule_changes: watch::Sender<u64>,
}

impl Sqlite {
    /// Opens the file, creating it if it is missing. Its folder must exist.
    ///
    /// The file may be the database of an application: the names of all tables begin with
    /// `gae_tasks_`.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be opened and written, is not a SQLite database or is
    /// damaged; if its tables were made by a newer version, or another development version, of this
    /// crate; or if this program is linked to an SQLite with the WAL-reset bug.
    pub async fn open(file: impl AsRef<Path>) -> Result<Self, Error> {
        let (wakeups, cancels) = (watch::Sender::new(0), watch::Sender::new(0));
        let writer = Writer::start(file.as_ref().to_owned(), wakeups.clone()).await?;
        let reader = Reader::start(writer.opened()).await?;
        let commits = Commits::new(writer.opened());
        let schedule_changes = watch::Sender::new(0);
        Ok(Self { reader, commits, writer, wakeups, cancels, schedule_changes })
    }

    fn write<R: Request>(&self, request: R) -> BackendFuture<'_, R::Output> {
        let answer = self.writer.call(request);
        Box::pin(async { Ok(answer.await?) })
    }

    /// Like [`write`](Self::write), and has schedules looked at.
    fn change<R: Request>(&self, request: R) -> BackendFuture<'_, R::Output> {
        let answer = self.writer.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            self.schedule_changes.send_modify(|count| *count = count.wrapping_add(1));
            Ok(answer)
        })
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("file", &self.writer.opened().file().path())
            .field("transactions", &self.writer.transactions())
            .finish_non_exhaustive()
    }
}

impl sealed::Sealed for Sqlite {}

impl Backend for Sqlite {
    fn capabilities(&self) -> Capabilities {
        let home = Some(self.writer.opened().home());
        Capabilities { durable: true, home, ..Capabilities::new(NAME) }
    }

    fn enqueue(&self, request: Enqueue) -> BackendFuture<'_, Vec<Result<Deferred, Error>>> {
        self.write(Storing::new(request))
    }

    fn enqueue_blocking(&self, request: Enqueue) -> Result<Vec<Result<Deferred, Error>>, Error> {
        Ok(self.writer.call_here(Storing::new(request))?)
    }

    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>> {
        let answer = self.reader.get(move |connection| row::get(connection, id));
        Box::pin(async { Ok(answer.await?) })
    }

    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>> {
        let answer =
            self.reader.get(move |connection| match name::holder(connection, &queue, &name)? {
                Some(Holder::Task(id)) => row::get(connection, id),
                Some(Holder::Tombstone { .. }) | None => Ok(None),
            });
        Box::pin(async { Ok(answer.await?) })
    }

    fn schemas(&self, shapes: Vec<Shape>) -> BackendFuture<'_, Vec<Option<Arc<[u8]>>>> {
        let answer = self.reader.get(move |connection| schemas::read_all(connection, &shapes));
        Box::pin(async { Ok(answer.await?) })
    }

    fn sensitive(&self, kinds: Vec<Kind>) -> BackendFuture<'_, Vec<SensitivePaths>> {
        let answer = self.reader.get(move |connection| sensitive::read_all(connection, &kinds));
        Box::pin(async { Ok(answer.await?) })
    }

    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>> {
        let answer = self.reader.scan(move |connection| row::list(connection, &request));
        Box::pin(async { Ok(answer.await?) })
    }

    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool> {
        self.write(Delete(request))
    }

    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        let answer = self.writer.call(RunNow(request));
        Box::pin(async { answer.await? })
    }

    fn cancel(&self, request: TaskRequest) -> BackendFuture<'_, Cancelled> {
        let answer = self.writer.call(Cancel(request));
        Box::pin(async {
            let cancelled = answer.await?;
            if cancelled == Cancelled::Requested {
                self.cancels.send_modify(|count| *count += 1);
            }
            Ok(cancelled)
        })
    }

    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        let answer = self.writer.call(Replay(request));
        Box::pin(async { answer.await? })
    }

    fn bury(&self, request: Bury) -> BackendFuture<'_, ()> {
        self.write(request)
    }

    fn check_dead_letters(&self, _queues: Vec<QueueName>) -> BackendFuture<'_, DeadLetterCheck> {
        let warnings = disk::warning(self.writer.opened().file().path()).into_iter().collect();
        Box::pin(std::future::ready(Ok(DeadLetterCheck { warnings, ..DeadLetterCheck::default() })))
    }

    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()> {
        let answer = self.writer.call(PutQueue(queue, config));
        Box::pin(async { answer.await? })
    }

    fn replace_queue(&self, request: ReplaceQueue) -> BackendFuture<'_, ()> {
        if request.is_stored {
            return Box::pin(std::future::ready(Ok(())));
        }
        let answer = self.writer.call(ReplaceConfig(request.queue, request.config));
        Box::pin(async { answer.await? })
    }

    fn raise_retention(&self, queue: QueueName, stated: Retention) -> BackendFuture<'_, ()> {
        self.write(RaiseRetention(queue, stated))
    }

    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>> {
        let answer = self.reader.scan(stats::queues);
        Box::pin(async { Ok(answer.await?) })
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()> {
        let answer = self.writer.call(SetPaused(queue, paused));
        Box::pin(async { answer.await?.map(|_goes_on| ()) })
    }

    fn purge(&self, queue: QueueName, now: Now) -> BackendFuture<'_, Purged> {
        Box::pin(async move {
            let ids: Arc<[TaskId]> =
                self.reader.scan(move |file| open_tasks(file, &queue)).await?.into();
            self.delete_all(ids, now, false).await
        })
    }

    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged> {
        Box::pin(self.remove_queue(request))
    }

    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>> {
        let answer = self.reader.scan(move |connection| stats::stats(connection, moment(now)));
        Box::pin(async { Ok(answer.await?) })
    }

    fn sample(&self, request: Sample) -> BackendFuture<'_, Result<Vec<Sampled>, UnreadQueue>> {
        let answer = self.reader.scan(move |connection| sample::sample(connection, &request));
        Box::pin(async { Ok(Ok(answer.await?)) })
    }

    fn put_schedules(&self, request: PutSchedules) -> BackendFuture<'_, SchedulesPut> {
        self.change(request)
    }

    fn schedules(&self, program: Option<String>) -> BackendFuture<'_, Vec<StoredSchedule>> {
        let answer =
            self.reader.scan(move |connection| schedules::list(connection, program.as_deref()));
        Box::pin(async { Ok(answer.await?) })
    }

    fn change_schedule(&self, request: ChangeSchedule) -> BackendFuture<'_, ScheduleChanged> {
        self.change(request)
    }
}

impl Pull for Sqlite {
    fn lease(&self, request: Lease) -> BackendFuture<'_, Leased> {
        let call = |lease, answers| self.writer.call(Leasing { lease, answers });
        let (routes, mut answers) = (request.routes.clone(), Vec::new());
        let first = call(request.clone(), Vec::new());
        Box::pin(async move {
            let mut answer = first.await?;
            loop {
                let questions = match answer {
                    Ok(leased) => return Ok(leased),
                    Err(questions) => questions,
                };
                // The worker decides here, while the writer serves others.
                answers.extend(routes.answer(questions));
                answer = call(request.clone(), answers.clone()).await?;
            }
        })
    }

    fn extend(&self, request: Extend) -> BackendFuture<'_, Vec<bool>> {
        self.write(request)
    }

    fn settle(&self, request: Settle) -> BackendFuture<'_, Vec<Settled>> {
        self.write(request)
    }

    fn sweep(&self, request: Sweep) -> BackendFuture<'_, Swept> {
        self.write(request)
    }

    fn commits(&self) -> Option<i64> {
        self.commits.number()
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        if self.writer.opened().is_by_this_process() {
            self.writer.listen();
            return self.wakeups.subscribe();
        }
        // In a child the sender's lock may be held for ever, so the child gets its own sender,
        // dropped at once: no wakeup comes.
        watch::Sender::new(0).subscribe()
    }

    fn cancelled(&self) -> BackendFuture<'_, Vec<LeaseRef>> {
        let answer = self.reader.get(held::cancelled);
        Box::pin(async { Ok(answer.await?) })
    }

    fn cancels(&self) -> watch::Receiver<u64> {
        if self.writer.opened().is_by_this_process() {
            return self.cancels.subscribe();
        }
        // As for wakeups.
        watch::Sender::new(0).subscribe()
    }

    fn due_schedules(&self, request: DueSchedules) -> BackendFuture<'_, Due> {
        let answer = self.reader.get(move |connection| schedules::due(connection, &request));
        Box::pin(async { Ok(answer.await?) })
    }

    fn tick(&self, request: Tick) -> BackendFuture<'_, Vec<Result<bool, Error>>> {
        self.write(request)
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        if self.writer.opened().is_by_this_process() {
            return self.schedule_changes.subscribe();
        }
        watch::Sender::new(0).subscribe()
    }
}
