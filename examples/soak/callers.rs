//! The callers: each defers at a steady pace, all of them together at the requested rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use gae_tasks::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::ledger::Ledger;
use crate::mix;

/// The number of callers.
const CALLERS: u32 = 20;

/// Callers pause while this many tasks are open, so that the queue of a slow machine does not fill
/// the disk.
const MOST_OPEN: usize = 20_000;

/// The callers, until they are stopped.
#[derive(Debug)]
pub(crate) struct Callers {
    stop: watch::Sender<bool>,
    set: JoinSet<()>,
}

impl Callers {
    pub(crate) fn start(tasks: &Client, ledger: &Arc<Ledger>, rate: u32, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut set = JoinSet::new();
        let callers = CALLERS.min(rate);
        for caller in 0..callers {
            let (tasks, ledger, stopped) = (tasks.clone(), Arc::clone(ledger), stopped.clone());
            let rng = Rng::with_seed(seed.wrapping_add(1 + u64::from(caller)));
            let pace = Duration::from_secs(1) * callers / rate;
            set.spawn(call(tasks, ledger, rng, pace, stopped));
        }
        Self { stop, set }
    }

    /// Lets the callers finish the calls that they have begun.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.set.join_all().await;
    }
}

async fn call(
    tasks: Client,
    ledger: Arc<Ledger>,
    mut rng: Rng,
    pace: Duration,
    stopped: watch::Receiver<bool>,
) {
    // The callers do not all call at the same moment.
    let first = tokio::time::Instant::now() + pace.mul_f64(rng.f64());
    let mut tick = tokio::time::interval_at(first, pace);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !*stopped.borrow() {
        tick.tick().await;
        if ledger.len() >= MOST_OPEN {
            continue;
        }
        let begun = Instant::now();
        match mix::defer(&tasks, &ledger, &mut rng).await {
            Ok(()) => ledger.answered(begun.elapsed()),
            Err(error) => ledger.problem(format!("a task could not be deferred: {error:#}")),
        }
    }
}
