//! Relays that run beside a test, and what the test waits for meanwhile.

use std::time::Duration;

use gae_tasks::{Error, Relay};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A relay that runs until it is stopped.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn start(relay: Relay) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let relay = relay.with_graceful_shutdown(async move { _ = stopped.await });
        Self { stop, task: tokio::spawn(relay.into_future()) }
    }

    pub(crate) async fn stop(self) {
        _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
    }

    /// Drops the relay, as if its process were killed.
    pub(crate) async fn kill(self) {
        self.task.abort();
        _ = self.task.await;
    }
}

/// Waits until `is_so`.
pub(crate) async fn until(is_so: impl AsyncFnMut() -> bool) {
    within(Duration::from_secs(20), is_so).await;
}

/// Waits until `is_so`, for at most `limit`.
pub(crate) async fn within(limit: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(limit, wait).await.expect("it is so in time");
}
