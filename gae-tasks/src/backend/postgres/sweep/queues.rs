//! Queues in which tasks wait although they have no row: they were deleted while the tasks were
//! stored.

use std::collections::BTreeSet;

use crate::backend::postgres::error::Fault;
use crate::backend::postgres::scan::Scan;
use crate::backend::postgres::shared::Shared;
use crate::backend::postgres::work::Work;
use crate::queue::QueueConfig;
use crate::version;

/// Makes the queues again that are named by lanes in which tasks wait.
pub(super) async fn restore(shared: &Shared, work: &mut Work, scan: &Scan) -> Result<(), Fault> {
    const MAKE: &str = "INSERT INTO gae_tasks.queue (name, config, paused) SELECT name, $2, false \
                        FROM unnest($1::text[]) n(name) ORDER BY name ON CONFLICT (name) DO \
                        NOTHING";
    let Some(config) = version::encode(&QueueConfig::new()) else { return Ok(()) };
    let (database, catalogue) = (&shared.database, &shared.catalogue);
    let lanes = scan.heads.iter().map(|head| head.lane);
    catalogue.learn_lanes(database, work, lanes.clone()).await?;
    let lanes = lanes.filter_map(|lane| catalogue.lane(lane));
    let lost: BTreeSet<_> = lanes
        .filter(|lane| !catalogue.has_queue(&lane.key.queue))
        .map(|lane| lane.key.queue.to_string())
        .collect();
    if !lost.is_empty() {
        let names: Vec<_> = lost.into_iter().collect();
        database.query(MAKE).bind(names).bind(config).execute(&mut **work).await?;
    }
    Ok(())
}
