//! How long an operation that changes nothing twice is tried again.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::database::Database;
use super::error::Fault;

/// For how long an operation is tried again.
const BOUND: Duration = Duration::from_secs(10);

/// The pause after the first failure, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// Does `work` again while it fails for a moment. It must have left nothing behind then.
pub(super) async fn again<T, W>(database: &Database, work: impl Fn() -> W) -> Result<T, Fault>
where
    W: Future<Output = Result<T, Fault>>,
{
    let mut patience = Patience::new();
    loop {
        match work().await {
            Err(fault) if patience.allows(database, &fault).await => {}
            answer => return answer,
        }
    }
}

/// The patience of one operation.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), pause: PAUSES[0] }
    }

    /// Whether an operation that failed with `fault` is to be tried again, after the pause that
    /// this waits for.
    pub(super) async fn allows(&mut self, database: &Database, fault: &Fault) -> bool {
        database.heed(fault);
        if !fault.is_transient() || self.began.elapsed() > BOUND {
            return false;
        }
        sleep(self.pause).await;
        self.pause = self.pause.saturating_mul(2).min(PAUSES[1]);
        true
    }
}
