//! A cluster that asks for passwords, tasks that count their attempts, and what errors say.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gae_tasks::{Client, Error, TaskContext, TaskId, deferred};
use gae_tasks_tests_postgres::{Cluster, Database};
use sqlx::PgConnection;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The password of the role `ann`.
pub(crate) const PASSWORD: &str = "s3cret-of-ann";

/// The longest time that a test waits for something.
const PATIENCE: Duration = Duration::from_secs(60);

#[deferred(queue = "errors")]
pub(crate) async fn nothing() {}

/// Counts its attempts.
#[deferred(queue = "counted")]
pub(crate) async fn counted(#[state] runs: &Runs, #[context] cx: &TaskContext) {
    runs.add(cx.id());
}

/// How often each task has begun.
#[derive(Clone, Default)]
pub(crate) struct Runs(Arc<Mutex<BTreeMap<TaskId, usize>>>);

impl Runs {
    pub(crate) fn add(&self, task: TaskId) {
        *self.0.lock().unwrap().entry(task).or_default() += 1;
    }

    fn all(&self) -> BTreeMap<TaskId, usize> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until as many tasks have begun, and none is left; checks that they are these ones, and
    /// that each has begun once.
    pub(crate) async fn all_ran_once(&self, tasks: &Client, expected: &[TaskId]) {
        until("the end of all tasks", async || {
            let is_over = tasks.stats().await.is_ok_and(|stats| stats.open() == 0);
            is_over && self.all().len() >= expected.len()
        })
        .await;
        let expected: BTreeMap<_, _> = expected.iter().map(|task| (*task, 1)).collect();
        assert_eq!(self.all(), expected, "something was lost, or stored though it was refused");
    }
}

/// A worker of a client, until it is ended.
pub(crate) struct Worker {
    stop: oneshot::Sender<()>,
    working: JoinHandle<Result<(), Error>>,
}

impl Worker {
    pub(crate) fn of(tasks: &Client, queues: &[&str]) -> Self {
        Self::start(tasks.worker().queues(queues.iter().copied()))
    }

    pub(crate) fn start(worker: gae_tasks::Worker) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
        Self { stop, working: tokio::spawn(worker.into_future()) }
    }

    /// Ends the worker, which has not ended by itself.
    pub(crate) async fn end(self) {
        assert!(!self.working.is_finished(), "the worker has ended by itself");
        self.stop.send(()).unwrap();
        self.working.await.unwrap().unwrap();
    }
}

/// Waits until `holds`.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A cluster that asks the role `ann` for a password over TCP.
pub(crate) async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER
        .get_or_init(async || {
            let cluster = Cluster::own().await;
            let rules = "host all ann 127.0.0.1/32 scram-sha-256\nlocal all all trust\nhost all \
                         all 127.0.0.1/32 trust\n";
            ask_for_passwords(&cluster, rules).await;
            cluster
        })
        .await
}

/// Makes the role `ann`, and replaces the rules by which the server lets roles in.
pub(crate) async fn ask_for_passwords(cluster: &Cluster, rules: &str) {
    let setup = format!(
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}'; \
         DO $$ BEGIN EXECUTE format('COPY (SELECT unnest(string_to_array(%L, E''\\n''))) TO %L', \
         '{rules}', current_setting('hba_file')); END $$; SELECT pg_reload_conf()"
    );
    cluster.execute("postgres", &setup).await.unwrap();
}

pub(crate) async fn database() -> Database {
    cluster().await.database().await
}

/// Returns the URL of the database for `ann`, with this password.
pub(crate) fn of_ann(database: &Database, password: &str) -> String {
    of(database, "ann", password)
}

fn of(database: &Database, role: &str, password: &str) -> String {
    database.tcp_url().replace("postgres://postgres@", &format!("postgres://{role}:{password}@"))
}

/// Makes the tables, and lets a role work with them.
pub(crate) async fn let_work(database: &Database, role: &str) {
    drop(Client::open(&database.url()).await.unwrap());
    let grant = format!(
        "GRANT USAGE ON SCHEMA gae_tasks TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL \
         TABLES IN SCHEMA gae_tasks TO {role}"
    );
    database.execute(&grant).await.unwrap();
}

/// Makes a role with these options, which may work with the tables. Returns its name, and the URL
/// of the database for it.
pub(crate) async fn role(database: &Database, options: &str) -> (String, String) {
    let role = format!("role_{}", database.name());
    let create = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' {options}");
    database.execute(&create).await.unwrap();
    let_work(database, &role).await;
    let url = of(database, &role, PASSWORD);
    (role, url)
}

/// Opens a client whose tasks count their attempts.
pub(crate) async fn counting(url: &str) -> (Client, Runs) {
    let runs = Runs::default();
    let tasks = Client::builder().state(runs.clone()).open(url).await.unwrap();
    assert!(!format!("{tasks:?}").contains(PASSWORD));
    (tasks, runs)
}

/// Returns a transaction that keeps everybody from the tables of tasks.
pub(crate) async fn lock(database: &Database) -> PgConnection {
    let mut other = database.connect().await.unwrap();
    let lock = "BEGIN; LOCK TABLE gae_tasks.task, gae_tasks.waiting, gae_tasks.lease IN ACCESS \
                EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    other
}

/// Returns all that an error says.
pub(crate) fn texts(error: &Error) -> String {
    let mut texts = format!("{error}\n{error:?}\n{error:#?}");
    let mut source = error.source();
    while let Some(inner) = source {
        texts += &format!("\n{inner}\n{inner:?}");
        source = inner.source();
    }
    texts
}

/// Checks that an error says `parts`, and no password.
pub(crate) fn assert_says(error: &Error, parts: &[&str]) {
    println!("{error}\n  {}", error.source().map(ToString::to_string).unwrap_or_default());
    let all = texts(error);
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in `{error}`");
    }
    for secret in [PASSWORD, "another-s3cret"] {
        assert!(!all.contains(secret), "the password is in {all}");
    }
}

/// Opens a client, which fails soon.
pub(crate) async fn refused(url: &str) -> Error {
    let opened = timeout(Duration::from_secs(30), Client::open(url)).await;
    match opened.expect("an answer in time") {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}
