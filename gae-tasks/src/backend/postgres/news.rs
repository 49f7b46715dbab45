//! Wake-ups across processes, by LISTEN and NOTIFY.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::SqlStr;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::database::Database;
use super::error::Fault;
use super::floors::Floors;
use super::limit::within;
use super::presence::Presence;
use crate::log;
use crate::random;
use crate::time::micros;

/// The least time between two notifications of a process. Each costs about as much as a flush, so
/// while many tasks are stored one after the other, a notification is about many of them.
const INTERVAL: Duration = Duration::from_millis(5);

/// A notification may take up to this part of the time.
const SHARE: u32 = 4;

/// The pause before the listener connects again: the first, and the longest. Within 3 seconds after
/// it could, the process has to show again that it lives.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// After this time without news the listener asks whether its connection is still there.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a notification may take. Tasks are found without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether anything waits.
const WAITS: &str = "SELECT EXISTS (SELECT FROM gae_tasks.waiting)";

/// Wake-ups across processes.
#[derive(Debug)]
pub(super) struct News {
    ear: Arc<Ear>,
    listens: AtomicBool,
    telling: Arc<Telling>,
}

/// What other processes must be notified of.
#[derive(Debug, Default)]
struct Telling {
    /// Signalled when they must be.
    signal: Notify,
    /// For how many microseconds tasks have had their places, if they are late.
    late: AtomicU64,
}

impl News {
    /// Listens on a connection with the options `listen`, if there are any, on which `presence`
    /// shows that this process lives, and notifies other processes through `database`. The tasks
    /// run on the calling runtime. What is heard wakes workers, and may lower the floors.
    pub(super) fn new(
        database: Arc<Database>,
        listen: Option<PgConnectOptions>,
        (wakeups, floors): (watch::Sender<u64>, Arc<Floors>),
        presence: Arc<Presence>,
    ) -> Self {
        // Each schema has a channel; channels of other databases are others.
        let channel = database.schema().trim_matches('"').to_owned();
        let own = format!("{:016x}", random::bits());
        let telling = Arc::<Telling>::default();
        let waits = database.sql(WAITS);
        tokio::spawn(tell(database, Arc::clone(&telling), channel.clone(), own.clone()));
        let ear = Arc::new(Ear { listen, channel, own, waits, wakeups, floors, presence });
        Self { ear, listens: AtomicBool::new(false), telling }
    }

    /// Begins to listen for other processes, at the first call.
    pub(super) fn listen(&self, runtime: &Handle) {
        if !self.listens.swap(true, Ordering::Relaxed)
            && let Some(options) = self.ear.listen.clone()
        {
            runtime.spawn(listen(Arc::clone(&self.ear), options));
        }
    }

    /// Notifies other processes that a task may have become due.
    pub(super) fn tell(&self) {
        self.telling.signal.notify_one();
    }

    /// Has the next notification say that tasks have had their places for `age`.
    pub(super) fn tell_late(&self, age: Duration) {
        self.telling.late.fetch_max(micros(age).unsigned_abs(), Ordering::Relaxed);
    }
}

/// What the listener knows.
struct Ear {
    listen: Option<PgConnectOptions>,
    channel: String,
    /// What this process sends, which wakes nobody here.
    own: String,
    /// The [statement](WAITS) for the schema.
    waits: SqlStr,
    wakeups: watch::Sender<u64>,
    floors: Arc<Floors>,
    presence: Arc<Presence>,
}

impl std::fmt::Debug for Ear {
    /// Leaves the options out: they have the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Ear {
    fn wake(&self) {
        self.wakeups.send_modify(|count| *count += 1);
    }

    /// Wakes the workers by what another process says: who it is, and for how long late tasks have
    /// had their places.
    fn hear_of(&self, payload: &str) {
        let (sender, late) = payload.split_once(' ').unwrap_or((payload, ""));
        if sender == self.own {
            return;
        }
        if let Ok(late) = late.parse::<u64>() {
            self.floors.late(Duration::from_micros(late));
        }
        self.wake();
    }

    /// Listens until the connection is lost.
    async fn hear(&self, options: &PgConnectOptions, pause: &mut Duration) -> Result<(), Fault> {
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = one.acquire_timeout(PATIENCE).connect_lazy_with(options.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        self.presence.show(&mut listener).await?;
        let mut missed = self.presence.missed();
        within(PATIENCE, listener.listen(&self.channel)).await?;
        *pause = PAUSES[0];
        // Earlier notifications were missed, but they can only be about tasks that still wait.
        self.floors.late(Duration::MAX);
        let waits = sqlx::query_scalar(self.waits.clone()).fetch_one(&mut listener);
        if within(PATIENCE, waits).await? {
            self.wake();
        }
        self.heed(&mut listener, &mut missed).await
    }

    /// Wakes workers by what is heard, until the connection is lost or `missed` changes.
    async fn heed(
        &self,
        listener: &mut PgListener,
        missed: &mut watch::Receiver<()>,
    ) -> Result<(), Fault> {
        loop {
            let news = tokio::select! {
                news = timeout(SILENCE, listener.try_recv()) => news,
                _ = missed.changed() => return Ok(()),
            };
            match news {
                Ok(news) => match news? {
                    Some(news) => self.hear_of(news.payload()),
                    None => return Ok(()),
                },
                // A network that falls silent reports nothing.
                Err(_) => {
                    let sign = sqlx::query("SELECT 1").execute(&mut *listener);
                    within(PATIENCE, sign).await?;
                }
            }
        }
    }
}

/// Listens for ever.
async fn listen(ear: Arc<Ear>, options: PgConnectOptions) {
    let (mut pause, mut is_told) = (PAUSES[0], false);
    loop {
        let lost = ear.hear(&options, &mut pause).await;
        ear.presence.hide();
        if let Err(fault) = lost
            && !is_told
        {
            is_told = true;
            let (channel, cause) = (&ear.channel, fault.cause());
            log::say(|| {
                tracing::warn!(
                    "the connection that hears of tasks deferred by other processes (channel \
                     `{channel}`) is lost: {cause}; until it is back, workers look for tasks at \
                     intervals"
                );
            });
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(PAUSES[1]);
        is_told &= pause > PAUSES[0].saturating_mul(2);
    }
}

/// Notifies other processes, in statements of their own: transactions that notify commit one after
/// the other, and no task is to wait for that.
async fn tell(database: Arc<Database>, telling: Arc<Telling>, channel: String, own: String) {
    loop {
        telling.signal.notified().await;
        let began = Instant::now();
        let payload = match telling.late.swap(0, Ordering::Relaxed) {
            0 => own.clone(),
            late => format!("{own} {late}"),
        };
        // Calls that store tasks report a database that fails.
        _ = timeout(PATIENCE, notify(&database, &channel, &payload)).await;
        sleep(INTERVAL.max(began.elapsed().saturating_mul(SHARE - 1))).await;
    }
}

async fn notify(database: &Database, channel: &str, payload: &str) -> Result<(), Fault> {
    // Nobody needs to hear of it after a crash, so the commit does not wait for the disk.
    const NOTIFY: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";
    let mut connection = database.connection().await?;
    database.prepared(NOTIFY).bind(channel).bind(payload).execute(&mut *connection).await?;
    connection.commit().await
}
