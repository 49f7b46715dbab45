//! Workers that do not hear of new tasks find them by looking.

use std::time::{Duration, Instant};

use gae_tasks::{Client, deferred};
use gae_tasks_tests_postgres::{Cluster, Database, Proxy};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::stage::SECOND;

#[derive(Clone)]
struct Begun(mpsc::UnboundedSender<u64>);

#[deferred(queue = "announced")]
async fn announce(number: u64, #[state] begun: &Begun) {
    _ = begun.0.send(number);
}

/// A worker behind another client than the one that defers.
struct Scene {
    tasks: Client,
    begun: mpsc::UnboundedReceiver<u64>,
    worker: JoinHandle<Result<(), gae_tasks::Error>>,
    stop: oneshot::Sender<()>,
}

impl Scene {
    async fn new(database: &Database, url: &str, poll: Duration) -> Self {
        let tasks = Client::open(&database.url()).await.unwrap();
        let (sender, begun) = mpsc::unbounded_channel();
        let other = Client::builder().state(Begun(sender)).open(url).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = other.worker().queues(["announced"]).poll_interval(poll);
        let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
        let worker = tokio::spawn(worker.into_future());
        let mut scene = Self { tasks, begun, worker, stop };
        scene.takes(0).await;
        scene
    }

    /// Defers a task, and returns how long it takes to begin.
    async fn takes(&mut self, number: u64) -> Duration {
        let deferred = Instant::now();
        announce::defer(number).on(&self.tasks).await.unwrap();
        let begun = timeout(30 * SECOND, self.begun.recv()).await;
        assert_eq!(begun.expect("the task is found"), Some(number));
        deferred.elapsed()
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.worker.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_worker_that_cannot_listen_finds_tasks_by_its_poll() {
    let cluster = Cluster::shared().await;
    let (database, proxy) = (cluster.database().await, Proxy::before(cluster.port()).await);
    let listen = proxy.url(database.name()).replace(':', "%3A").replace('/', "%2F");
    let url = format!("{}&listen_url={}", database.url(), listen.replace('@', "%40"));
    let mut scene = Scene::new(&database, &url, Duration::from_millis(200)).await;
    // The notifications are lost, and nobody knows.
    proxy.stall();
    for number in 1..5 {
        let took = scene.takes(number).await;
        assert!(took < 5 * SECOND, "{took:?}");
    }
    // No listener at all.
    proxy.refuse().await;
    proxy.resume();
    proxy.cut();
    for number in 5..10 {
        let took = scene.takes(number).await;
        assert!(took < 5 * SECOND, "{took:?}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_listener_that_was_lost_listens_again() {
    let database = Cluster::shared().await.database().await;
    // Only a notification is faster than this poll.
    let mut scene = Scene::new(&database, &database.url(), 30 * SECOND).await;
    for round in 1..4 {
        // A listener shows on its session that its process lives.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = \
                   current_database() AND pid IN (SELECT pid FROM pg_locks WHERE locktype = \
                   'advisory')";
        let ended = database.value::<i64>(end).await.unwrap();
        assert!(ended > 0, "nobody listens");
        let listens = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = \
                       current_database() AND pid IN (SELECT pid FROM pg_locks WHERE locktype = \
                       'advisory')";
        super::stage::until("a listener", 10 * SECOND, async || {
            database.value::<bool>(listens).await.unwrap()
        })
        .await;
        let took = scene.takes(round).await;
        println!("woken after {took:?}");
        assert!(took < 10 * SECOND, "{took:?}");
    }
    scene.end().await;
}
