//! Recovering lost leases, and forgetting what is old: each sort of change commits on its own.

mod gone;
mod held;
mod lost;
mod old;
mod pauses;
mod queues;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Fault;
use super::shared::Shared;
use crate::backend::{Sweep, Swept};
use crate::time::Timestamp;

/// Where sweeps read past many rows that an old snapshot keeps, they take at most this part of the
/// time.
const SHARE: u32 = 10;

/// The longest pause that they ask for: the tasks of a worker that is gone wait as well.
const LONGEST: Duration = Duration::from_secs(5);

pub(super) async fn sweep(shared: Arc<Shared>, request: Sweep) -> Result<Swept, Fault> {
    let begun = Instant::now();
    let mut swept = sweep_once(&shared, &request).await;
    match &mut swept {
        Ok(swept) if shared.floors.are_used() => {
            swept.rest = begun.elapsed().saturating_mul(SHARE - 1).min(LONGEST);
        }
        Ok(_) => {}
        // Others may have been unable to lock and to renew.
        Err(_) => shared.presence.disturb(),
    }
    swept
}

async fn sweep_once(shared: &Shared, request: &Sweep) -> Result<Swept, Fault> {
    let (mut swept, now) = (Swept::default(), look(shared, request).await?);
    let unchanged = &request.lost[..request.lost.len().min(request.limit)];
    lost::recover(shared, unchanged, now, &mut swept).await?;
    let gone = gone::gone(shared, request.limit).await;
    lost::recover(shared, &gone, now, &mut swept).await?;
    lost::put_back_strays(shared, request, now, &mut swept).await?;
    let dead = old::forget_dead(shared, now, request.limit).await?;
    let names = old::forget_names(&shared.database, now, request.limit).await?;
    swept.shortened = pauses::shorten(&shared.database, now, request.limit).await?;
    let most = request.limit as u64;
    let counts = [swept.recovered, dead.tasks.len() as u64, names, swept.shortened];
    swept.more = dead.is_cut || counts.iter().any(|done| *done >= most);
    swept.forgotten = dead.tasks.len() as u64 + names;
    swept.forgotten_tasks = dead.tasks;
    swept.held = held::held(&shared.database).await?;
    if swept.recovered > 0 {
        // They are marked now, and wait where floors are not looked for.
        shared.wake_late(Duration::MAX);
    } else if swept.shortened > 0 {
        shared.wake();
    }
    Ok(swept)
}

/// Reads the time and the queues, and restores queues in which tasks wait.
async fn look(shared: &Shared, request: &Sweep) -> Result<Timestamp, Fault> {
    let mut connection = shared.database.connection().await?;
    let epoch = shared.catalogue.epoch_of(&connection).ok();
    let survey = shared.floors.survey(&shared.database, &mut connection, epoch, request.now);
    let (scan, has_late) = survey.await?;
    if has_late {
        shared.wake_here();
    }
    shared.catalogue.refresh_queues(&shared.database, &mut connection, scan.changes).await?;
    queues::restore(shared, &mut connection, &scan).await?;
    connection.commit().await?;
    Ok(scan.now)
}
