//! A replica that can take over from its cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::server::{PATIENCE, SUPERUSER, Server, blocking, data, run};

/// A server that follows a cluster by streaming replication, asynchronously, and answers reads.
#[derive(Debug)]
pub struct Standby {
    primary: Cluster,
    replica: Cluster,
}

impl Standby {
    /// Copies a cluster and follows it from then on.
    ///
    /// # Panics
    ///
    /// If the cluster does not run, or the copy does not start.
    pub async fn of(primary: &Cluster) -> Standby {
        let (primary, port) = (primary.clone(), primary.port().to_string());
        let server = blocking(move || {
            Server::with_data(|folder, programs| {
                let mut copy = folder.command(&programs.join("pg_basebackup"));
                copy.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]);
                copy.args(["--no-sync", "-h", "127.0.0.1", "-p", &port, "-U", SUPERUSER]);
                run(copy.arg("-D").arg(data(folder)));
            })
        });
        Self { primary, replica: Cluster::of(Arc::new(server.await)) }
    }

    /// Returns the replica's server. Its databases are those of the primary.
    pub fn cluster(&self) -> &Cluster {
        &self.replica
    }

    /// Waits until the replica has all that the primary had committed at the call.
    ///
    /// # Panics
    ///
    /// If one of the two does not answer, or the replica does not catch up.
    pub async fn caught_up(&self) {
        let written = "SELECT pg_current_wal_flush_lsn()::text";
        let written: String =
            self.primary.named("postgres").value(written).await.expect("the primary answers");
        self.comes_true(&format!("pg_last_wal_replay_lsn() >= '{written}'")).await;
    }

    /// Ends the replication: the replica takes writes from now on. What the primary committed
    /// and the replica had not received yet is not on it.
    ///
    /// # Panics
    ///
    /// If the replica does not answer, or is not promoted.
    pub async fn promote(&self) {
        self.replica.execute("postgres", "SELECT pg_promote()").await.expect("the replica answers");
        self.comes_true("NOT pg_is_in_recovery()").await;
    }

    async fn comes_true(&self, condition: &str) {
        let (began, query) = (Instant::now(), format!("SELECT {condition}"));
        let replica = self.replica.named("postgres");
        while !replica.value::<bool>(&query).await.expect("the replica answers") {
            assert!(began.elapsed() < PATIENCE, "the replica does not get to `{condition}`");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
