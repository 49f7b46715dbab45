//! Opens a database by its URL.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use tokio::sync::{Semaphore, watch};

use super::callers::Callers;
use super::catalogue::Catalogue;
use super::committed::Committed;
use super::counted::Vacant;
use super::database::Database;
use super::epoch::Epochs;
use super::error::Fault;
use super::floors::Floors;
use super::guess::Guesses;
use super::looks::Looks;
use super::news::News;
use super::pool::{self, Pool, Suspicion};
use super::presence::Presence;
use super::shared::Shared;
use super::stray::Strays;
use super::tables;
use super::url::Target;
use super::waits::Waits;
use crate::error::Error;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The oldest version of PostgreSQL that has all that the statements use.
const OLDEST: u32 = 130_000;

pub(super) async fn open(url: &str) -> Result<Shared, Error> {
    let target = Target::read(url)?;
    let place = target.place();
    connect(target).await.map_err(|fault| fault.at(&place))
}

async fn connect(target: Target) -> Result<Shared, Fault> {
    check(&target).await?;
    let epochs = Epochs::default();
    let suspicion = Arc::new(Suspicion::new(epochs.clone(), target.is_pooled));
    let pool =
        |most| Pool::new(target.connect.clone(), most, target.place(), Arc::clone(&suspicion));
    let (pool, renewals) = (pool(target.max_connections), pool(1));
    let database = Database::new(pool, renewals, &target.schema, target.is_pooled, epochs.clone());
    let database = Arc::new(database);
    let identity = tables::ensure(&database).await?;
    let wakeups = watch::Sender::new(0);
    let presence = Arc::new(Presence::new(target.is_direct));
    let floors = Arc::<Floors>::default();
    let wakers = (wakeups.clone(), Arc::clone(&floors));
    let news = News::new(Arc::clone(&database), target.listen, wakers, Arc::clone(&presence));
    Ok(Shared {
        database,
        catalogue: Catalogue::new(epochs),
        looks: Looks::default(),
        guesses: Guesses::default(),
        floors,
        strays: Strays::default(),
        waits: Waits::default(),
        vacant: Vacant::default(),
        wakeups,
        cancels: watch::Sender::new(0),
        news,
        presence,
        callers: Callers::new(target.max_connections),
        names: Semaphore::new(takers(target.max_connections)),
        committed: Committed::default(),
        identity,
    })
}

/// Returns how many transactions that take names run at a time.
fn takers(connections: u32) -> usize {
    usize::try_from(connections / 2).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS)
}

/// Checks the server on a connection outside of the pool, which does not say why it gets none.
async fn check(target: &Target) -> Result<(), Fault> {
    let mut connection = pool::connect(&target.connect, PATIENCE).await?;
    if connection.server_version_num().is_some_and(|version| version < OLDEST) {
        return Err(Fault::Unfit("PostgreSQL 13 or newer is needed".to_owned()));
    }
    if !pool::takes_writes(&mut connection).await? {
        return Err(Fault::Unfit(
            "the server takes no writes: it is a standby, or its role or database has \
             `default_transaction_read_only`; name the primary in the URL"
                .to_owned(),
        ));
    }
    _ = connection.close().await;
    Ok(())
}
