//! The worker: leases tasks, runs them, records their outcomes. One loop serves all kinds.
//!
//! The worker's roles run side by side, one file each: `poll` leases tasks, `run` makes attempts,
//! `keep` extends leases, `settle` records outcomes, `sweep` recovers lost leases, `tick` looks for
//! due schedules (what a look does is in `ticker`), `drain` ends the worker.

mod ahead;
mod crew;
#[cfg(feature = "cron")]
mod declare;
mod drain;
mod errand;
mod held;
mod keep;
mod poll;
mod report;
mod reserve;
mod run;
mod settle;
mod signals;
mod suspects;
mod sweep;
#[cfg(feature = "cron")]
mod tick;
#[cfg(feature = "cron")]
mod ticker;
mod turns;
mod waiting;
mod watch;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use crew::WorkerSettings;
#[cfg(feature = "cron")]
pub(crate) use declare::Declaration;
pub(crate) use errand::{Errand, Hold};
pub use signals::{Signals, signals};
pub(crate) use suspects::Suspects;
#[cfg(feature = "cron")]
pub(crate) use ticker::Ticker;

use self::crew::Crew;
use self::drain::{Remaining, Shutdown};
use self::keep::Keeper;
use self::settle::Settler;
use crate::backend::BoxFuture;
use crate::error::Error;
use crate::log;

/// Does `first`, then works until `signal` is ready, and for at most `grace` and
/// [`LAST_WORDS`](drain::LAST_WORDS) after that.
pub(crate) async fn work(
    settings: WorkerSettings,
    first: impl Future<Output = ()>,
    signal: BoxFuture<'static, ()>,
    grace: Duration,
) -> Result<(), Error> {
    let crew = Arc::new(Crew::new(settings));
    crew.announce();
    let name = crew.name();
    let keeper = Keeper::start(Arc::clone(&crew))?;
    let settler = Settler::start(Arc::clone(&crew));
    let mut shutdown = Shutdown::new(Arc::clone(&crew), signal, grace);
    shutdown.lets(first).await;
    let sweeper = shutdown.lets(sweep::start(Arc::clone(&crew))).await;
    #[cfg(feature = "cron")]
    let ticker = tick::start(Arc::clone(&crew));
    let runners = poll::until_shutdown(&crew, &settler, &mut shutdown).await;
    drop(sweeper);
    #[cfg(feature = "cron")]
    drop(ticker);
    drain::finish(shutdown, Remaining { runners, settler, keeper }).await;
    log::say(|| tracing::info!("the {name} has stopped"));
    Ok(())
}
