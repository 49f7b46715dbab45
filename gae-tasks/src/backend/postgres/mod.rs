//! The backend of many machines: a schema in a Postgres database.

mod absence;
mod admin;
mod asker;
mod batch;
mod buckets;
mod bury;
mod callers;
mod cancel;
mod catalogue;
mod change;
mod choice;
mod commit;
mod committed;
mod counted;
mod database;
mod delete_queue;
mod ended;
mod enqueue;
mod epoch;
mod error;
mod extend;
mod fates;
mod floors;
mod flush;
mod guess;
mod home;
mod in_tx;
mod kept;
mod lane;
mod lease;
mod limit;
mod list;
mod locked;
mod looks;
mod name;
mod news;
mod open;
mod patience;
mod pool;
mod presence;
mod purge;
mod queue;
mod record;
mod remove;
mod rows;
mod sample;
mod scan;
mod schedules;
mod schemas;
mod sensitive;
mod settle;
mod shared;
mod stats;
mod stray;
mod sweep;
mod tables;
mod task;
mod tick;
mod unique;
mod unreadable;
mod url;
mod waits;
mod work;
mod writers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;

use self::error::{Fault, NAME};
use self::flush::Brought;
use self::home::Connections;
use self::limit::{LEAST, within};
use self::patience::again;
use self::shared::Shared;
use super::home::{Home, Place};
use super::runtime::Runtime;
use super::{
    Backend, BackendFuture, Bury, Cancelled, Capabilities, ChangeSchedule, DeleteQueue, Due,
    DueSchedules, Enqueue, Extend, Lease, LeaseRef, Leased, List, Pull, Purged, PutSchedules,
    QueueRecord, ReplaceQueue, RouteStats, Sample, Sampled, ScheduleChanged, SchedulesPut, Settle,
    Settled, StoredSchedule, Sweep, Swept, TaskRecord, TaskRequest, Tick, UnreadQueue, sealed,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName};
use crate::time::Now;

pub use self::tables::migrations;

/// How many threads work for a backend: one encodes and decodes while the other waits for a commit.
/// No handler that blocks its runtime delays them.
const THREADS: usize = 2;

/// How long a request of a worker may take. It is made again, or what it was about is recovered
/// once the leases end.
const LIMIT: Duration = Duration::from_secs(60);

/// The result for each task of a request.
type Answers = Vec<Result<Deferred, Error>>;

/// Tasks in a Postgres database.
///
/// Tasks that concurrent callers store one by one are committed together. If a connection is lost
/// while it commits, the server is asked on another one what became of the transaction, so a task
/// that has run meanwhile is not stored again. If the server cannot tell, the error says so: send
/// the same tasks, with their ids, again. What is stored is not stored twice.
pub struct Postgres {
    shared: Arc<Shared>,
    runtime: Runtime,
    home: Home,
    /// Changes whenever a schedule was put or changed.
    schedule_changes: watch::Sender<u64>,
}

impl Postgres {
    /// Opens the database that `url` names, and makes the schema and its tables if they are
    /// missing.
    ///
    /// ```text
    /// postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETER=VALUE&..
    /// ```
    ///
    /// Special characters of user and password are percent-encoded. What is left out is taken from
    /// the environment (`PGHOST`, `PGUSER`, ..) and from `~/.pgpass`. The parameters are:
    ///
    /// | parameter | meaning |
    /// |---|---|
    /// | `schema` | the schema of the tables, of the form `[a-z_][a-z0-9_]{0,62}`; by default `gae_tasks` |
    /// | `max_connections` | how many connections this process makes at most, besides the one that hears of other processes and the one that renews the leases of its workers; from 2, by default 8 |
    /// | `pooler=transaction` | a pooler, such as PgBouncer, stands before the server and gives each transaction another connection |
    /// | `listen_url` | the percent-encoded URL of a direct connection, on which to hear of other processes (`LISTEN`); without it, workers behind a pooler look for tasks at intervals |
    /// | `sslmode` | `disable` or `allow` (no encryption), `prefer` (default), `require`, `verify-ca` or `verify-full` |
    /// | `sslrootcert`, `sslcert`, `sslkey` | files with certificates and a key |
    /// | `host` | a host, or the folder of the server's socket: `host=/var/run/postgresql` |
    /// | `port`, `dbname`, `user`, `password`, `application_name`, `options` | as in other clients of PostgreSQL |
    ///
    /// PostgreSQL 13 or newer is needed. A role that may not create tables works where they are:
    /// see [`migrations`].
    ///
    /// # Errors
    /// [`Error::Url`] if the URL cannot be read, or has a parameter or value that is not known;
    /// [`Error::Storage`] if the server does not answer within 10 seconds, or the database is not
    /// usable: it does not exist, refuses the role, takes no writes, or has tables that this
    /// program does not know.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let mut threads = Builder::new_multi_thread();
        let threads = threads.worker_threads(THREADS);
        let (runtime, url) = (Runtime::start(NAME, "gae-tasks-postgres", threads)?, url.to_owned());
        let opened = runtime.run(async move { open::open(&url).await });
        let shared = Arc::new(opened.await?);
        let home = Home(Place::Schema(Arc::new(Connections::new(&shared, runtime.handle()))));
        Ok(Self { shared, runtime, home, schedule_changes: watch::Sender::new(0) })
    }

    /// Runs `work` on the threads of the backend.
    fn run<T, W>(&self, work: impl FnOnce(Arc<Shared>) -> W) -> BackendFuture<'static, T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.shared));
        Box::pin(self.runtime.run(Arc::clone(&self.shared).explained(work)))
    }

    /// Like [`run`](Self::run), for no longer than `limit`.
    fn run_within<T, W>(
        &self,
        limit: Duration,
        work: impl FnOnce(Arc<Shared>) -> W,
    ) -> BackendFuture<'static, T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        self.run(|shared| within(limit, work(shared)))
    }

    /// Like [`run`](Self::run), and runs `work` again while it fails for a moment: what fails then
    /// has changed nothing.
    fn repeat<T, W>(
        &self,
        work: impl Fn(Arc<Shared>) -> W + Send + Sync + 'static,
    ) -> BackendFuture<'static, T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        self.run(
            |shared| async move { again(&shared.database, || work(Arc::clone(&shared))).await },
        )
    }

    /// Returns `answer`, and has schedules looked at then.
    fn changing<'a, T: Send + 'a>(
        &'a self,
        answer: BackendFuture<'static, T>,
    ) -> BackendFuture<'a, T> {
        Box::pin(async move {
            let answer = answer.await?;
            self.schedule_changes.send_modify(|count| *count = count.wrapping_add(1));
            Ok(answer)
        })
    }

    /// Has tasks stored together with those of other callers, without a detour through the threads
    /// of the backend; returns the request if that is not possible.
    fn join(&self, request: Enqueue) -> Result<BackendFuture<'static, Answers>, Enqueue> {
        let Enqueue { now, tasks, .. } = request;
        let is_prepared = || self.shared.catalogue.known_lanes_of(&tasks).is_some();
        if !flush::is_small(&tasks) || !is_prepared() {
            return Err(Enqueue::new(now, tasks));
        }
        let brought: Brought = (now, tasks);
        let joined = flush::join(&self.shared, self.runtime.handle(), brought);
        let answer = joined.map_err(|(now, tasks)| Enqueue::new(now, tasks))?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::pin(async move {
            let stored = answer.await.unwrap_or(Err(Fault::Unknown));
            stored.map_err(|fault| fault.at(shared.database.place()))
        }))
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("place", &self.shared.database.place())
            .field("schema", &self.shared.database.schema())
            .finish_non_exhaustive()
    }
}

impl sealed::Sealed for Postgres {}

impl Backend for Postgres {
    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: true, home: Some(self.home.clone()), ..Capabilities::new(NAME) }
    }

    fn enqueue(&self, request: Enqueue) -> BackendFuture<'_, Answers> {
        match self.join(request) {
            Ok(answer) => answer,
            Err(request) => self.run(|shared| enqueue::enqueue(shared, request)),
        }
    }

    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>> {
        self.repeat(move |shared| list::get(shared, id))
    }

    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>> {
        self.repeat(move |shared| list::find(shared, queue.clone(), name.clone()))
    }

    fn stored(&self, ids: Vec<TaskId>) -> BackendFuture<'_, Vec<TaskId>> {
        self.repeat(move |shared| list::stored(shared, ids.clone()))
    }

    fn schemas(&self, shapes: Vec<Shape>) -> BackendFuture<'_, Vec<Option<Arc<[u8]>>>> {
        self.repeat(move |shared| {
            let shapes = shapes.clone();
            async move {
                let mut connection = shared.database.connection().await?;
                schemas::read(&shared.database, &mut connection, &shapes).await
            }
        })
    }

    fn sensitive(&self, kinds: Vec<Kind>) -> BackendFuture<'_, Vec<SensitivePaths>> {
        self.repeat(move |shared| {
            let kinds = kinds.clone();
            async move {
                let mut connection = shared.database.connection().await?;
                sensitive::read(&shared.database, &mut connection, &kinds).await
            }
        })
    }

    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>> {
        self.repeat(move |shared| list::list(shared, request.clone()))
    }

    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool> {
        self.repeat(move |shared| admin::delete(shared, request))
    }

    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        let answer = self.repeat(move |shared| admin::run_now(shared, request));
        Box::pin(async { answer.await? })
    }

    fn cancel(&self, request: TaskRequest) -> BackendFuture<'_, Cancelled> {
        self.repeat(move |shared| cancel::cancel(shared, request))
    }

    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        let answer = self.repeat(move |shared| admin::replay(shared, request));
        Box::pin(async { answer.await? })
    }

    fn bury(&self, request: Bury) -> BackendFuture<'_, ()> {
        self.repeat(move |shared| bury::bury(shared, request.clone()))
    }

    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()> {
        let answer = self.repeat(move |shared| queue::put(shared, queue.clone(), config.clone()));
        Box::pin(async { answer.await? })
    }

    fn replace_queue(&self, request: ReplaceQueue) -> BackendFuture<'_, ()> {
        if request.is_stored {
            return Box::pin(std::future::ready(Ok(())));
        }
        let ReplaceQueue { queue, config, .. } = request;
        let answer =
            self.repeat(move |shared| queue::replace(shared, queue.clone(), config.clone()));
        Box::pin(async { answer.await? })
    }

    fn raise_retention(&self, queue: QueueName, stated: Retention) -> BackendFuture<'_, ()> {
        self.repeat(move |shared| queue::raise_retention(shared, queue.clone(), stated))
    }

    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>> {
        self.repeat(queue::all)
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()> {
        let answer = self.repeat(move |shared| queue::set_paused(shared, queue.clone(), paused));
        Box::pin(async { answer.await? })
    }

    fn purge(&self, queue: QueueName, now: Now) -> BackendFuture<'_, Purged> {
        self.run(move |shared| purge::purge(shared, queue, now))
    }

    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged> {
        let answer = self.run(|shared| delete_queue::delete_queue(shared, request));
        Box::pin(async { answer.await? })
    }

    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>> {
        self.repeat(move |shared| stats::stats(shared, now))
    }

    fn sample(&self, request: Sample) -> BackendFuture<'_, Result<Vec<Sampled>, UnreadQueue>> {
        let answer = self.repeat(move |shared| sample::sample(shared, request.clone()));
        Box::pin(async { answer.await.map(Ok) })
    }

    fn put_schedules(&self, request: PutSchedules) -> BackendFuture<'_, SchedulesPut> {
        self.changing(self.repeat(move |shared| schedules::put(shared, request.clone())))
    }

    fn schedules(&self, program: Option<String>) -> BackendFuture<'_, Vec<StoredSchedule>> {
        self.repeat(move |shared| schedules::list(shared, program.clone()))
    }

    fn change_schedule(&self, request: ChangeSchedule) -> BackendFuture<'_, ScheduleChanged> {
        self.changing(self.repeat(move |shared| schedules::change(shared, request.clone())))
    }
}

impl Pull for Postgres {
    fn lease(&self, request: Lease) -> BackendFuture<'_, Leased> {
        Box::pin(async move {
            let mut answers = Vec::new();
            loop {
                let (lease, known) = (request.clone(), answers.clone());
                match self.run_within(LIMIT, |shared| lease::lease(shared, lease, known)).await? {
                    Ok(leased) => return Ok(leased),
                    // The worker decides here, while the threads serve others.
                    Err(questions) => answers.extend(request.routes.answer(questions)),
                }
            }
        })
    }

    fn extend(&self, request: Extend) -> BackendFuture<'_, Vec<bool>> {
        // So that there is time for another try before the leases end.
        let limit = (request.duration / 3).clamp(LEAST, LIMIT);
        self.run_within(limit, |shared| extend::extend(shared, request))
    }

    fn settle(&self, request: Settle) -> BackendFuture<'_, Vec<Settled>> {
        self.run_within(LIMIT, |shared| settle::settle(shared, request))
    }

    fn sweep(&self, request: Sweep) -> BackendFuture<'_, Swept> {
        self.run_within(LIMIT, |shared| sweep::sweep(shared, request))
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.shared.news.listen(self.runtime.handle());
        self.shared.wakeups.subscribe()
    }

    fn cancelled(&self) -> BackendFuture<'_, Vec<LeaseRef>> {
        self.run_within(LEAST, cancel::cancelled)
    }

    fn cancels(&self) -> watch::Receiver<u64> {
        self.shared.cancels.subscribe()
    }

    fn due_schedules(&self, request: DueSchedules) -> BackendFuture<'_, Due> {
        self.run_within(LIMIT, |shared| schedules::due(shared, request))
    }

    fn tick(&self, request: Tick) -> BackendFuture<'_, Vec<Result<bool, Error>>> {
        self.run_within(LIMIT, |shared| async move {
            // What was made before another one failed is not made again.
            let tick = || tick::tick(Arc::clone(&shared), request.clone());
            again(&shared.database, tick).await
        })
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        self.schedule_changes.subscribe()
    }
}
