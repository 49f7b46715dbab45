//! The program that ticks: `ticks URL AGREED SPEED STEPS`, the parts of its clock.

use gae_tasks::{BoxError, Client, Timestamp, deferred};

use super::clock::FastClock;

/// What schedules defer. Nobody runs it, so that every task of a tick stays stored.
#[deferred(queue = "ticks")]
pub async fn stamp(schedule: u32) {
    _ = schedule;
}

/// Obeys the command line.
///
/// # Errors
/// The command line is wrong, or the tasks cannot be opened.
pub async fn run() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or_else(|| format!("{what} is missing"));
    let (url, agreed, speed, steps) =
        (next("the URL")?, next("the moment")?, next("the speed")?, next("the file of steps")?);
    let agreed = Timestamp::from_micros(agreed.parse()?);
    let clock = FastClock::new(agreed, speed.parse()?, steps);
    let tasks = Client::builder().program("ticks").clock(clock).open(&url).await?;
    Ok(tasks.worker().queues(["idle"]).with_graceful_shutdown(gae_tasks::signals()).await?)
}
