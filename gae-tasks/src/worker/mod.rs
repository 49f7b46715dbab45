//! The worker: leases tasks, runs them, records how they ended. One loop serves all kinds.
//!
//! Its roles run side by side, one file each: `poll` leases, `run` makes attempts, `keep` extends leases, `settle`
//! records outcomes, `sweep` recovers what others lost, `drain` ends it all.

mod ahead;
mod drain;
mod held;
mod keep;
mod poll;
mod report;
mod run;
mod settle;
mod signals;
mod suspects;
mod sweep;
mod waiting;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub use signals::{Signals, signals};
pub(crate) use suspects::Suspects;

use self::drain::{Hands, Shutdown};
use self::held::Held;
use self::keep::Keeper;
use self::settle::Settler;
use self::waiting::Waiting;
use crate::backend::{BoxFuture, Pull, Routes};
use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::error::Error;
use crate::log;
use crate::queue::QueueName;
use crate::registry::Registry;
use crate::retention::Retention;

/// What a worker is made from.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) pull: Arc<dyn Pull>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) queues: Arc<BTreeSet<QueueName>>,
    pub(crate) concurrency: usize,
    /// Of some queues, how many attempts may run at the same time.
    pub(crate) queue_concurrency: HashMap<QueueName, usize>,
    pub(crate) lease: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) retention: Retention,
    pub(crate) suspects: Arc<Suspects>,
}

/// Does `first`, and works until `signal` is ready, and then for at most `grace` and [`LAST_WORDS`](drain::LAST_WORDS)
/// longer.
pub(crate) async fn work(
    plan: Plan,
    first: impl Future<Output = ()>,
    signal: BoxFuture<'static, ()>,
    grace: Duration,
) -> Result<(), Error> {
    let crew = Arc::new(Crew::new(plan));
    crew.announce();
    let keeper = Keeper::start(Arc::clone(&crew))?;
    let settler = Settler::start(Arc::clone(&crew));
    let mut shutdown = Shutdown::new(Arc::clone(&crew), signal, grace);
    shutdown.lets(first).await;
    let sweeper = shutdown.lets(sweep::start(Arc::clone(&crew))).await;
    let runners = poll::until_shutdown(&crew, &settler, &mut shutdown).await;
    drop(sweeper);
    drain::finish(shutdown, Hands { runners, settler, keeper }).await;
    log::say(|| tracing::info!("the worker has stopped"));
    Ok(())
}

/// What the roles of one worker share.
#[derive(Debug)]
struct Crew {
    plan: Plan,
    routes: Routes,
    /// Leased, not started.
    waiting: Waiting,
    /// Every lease this worker has.
    held: Held,
}

impl Crew {
    fn new(plan: Plan) -> Self {
        Self {
            routes: Routes::Only(Arc::new(plan.registry.routes().into_iter().collect())),
            waiting: Waiting::new(plan.queue_concurrency.clone()),
            held: Held::beside(Arc::clone(&plan.suspects)),
            plan,
        }
    }

    /// Leases that were asked for earlier, by the monotonic clock, have run out.
    fn overdue(&self) -> Option<Duration> {
        self.clock.monotonic().checked_sub(self.lease)
    }

    fn announce(&self) {
        let queues: Vec<_> = self.queues.iter().map(QueueName::as_str).collect();
        log::say(|| {
            tracing::info!(queues = queues.join(","), concurrency = self.concurrency, "the worker starts");
            for registration in self.registry.registrations() {
                tracing::debug!(kind = registration.kind, shape = %registration.shape, at = %registration.location, "task");
            }
        });
    }
}

impl std::ops::Deref for Crew {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

/// The pause before a failed storage operation is tried again: it grows, to at most 5 seconds.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(100).saturating_mul(1 << failures.min(6)).min(Duration::from_secs(5))
}
