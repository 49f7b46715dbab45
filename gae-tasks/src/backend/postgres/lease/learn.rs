//! Reads what is not known yet of the lanes and queues in which tasks wait.

use std::collections::HashSet;

use crate::backend::postgres::choice::is_meant;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::scan::Scan;
use crate::backend::postgres::shared::Shared;
use crate::backend::postgres::work::Work;
use crate::backend::{Lease, Routes};

/// Reads what is not known of the lanes and queues in which tasks wait.
pub(super) async fn learn(
    shared: &Shared,
    work: &mut Work,
    request: &Lease,
    scan: &Scan,
) -> Result<(), Fault> {
    let Shared { database, catalogue, looks, .. } = shared;
    catalogue.refresh_queues(database, work, scan.changes).await?;
    let lanes: Vec<_> = scan.heads.iter().map(|head| head.lane).collect();
    let unknown: HashSet<_> = lanes
        .iter()
        .copied()
        .filter(|lane| !catalogue.is_stored(*lane) && !looks.is_unreadable(*lane))
        .collect();
    if !unknown.is_empty() {
        catalogue.learn_lanes(database, work, unknown.iter().copied()).await?;
        looks.note_unreadable(
            database,
            unknown.into_iter().filter(|lane| catalogue.lane(*lane).is_none()),
        );
    }
    if let Some(last) = &request.last_turn {
        catalogue.learn_turn(database, work, last).await?;
    }
    if matches!(request.routes, Routes::Read(_)) {
        let mut shapes = HashSet::new();
        for lane in lanes.iter().filter_map(|lane| catalogue.lane(*lane)) {
            if is_meant(catalogue, request, &lane) {
                shapes.insert(lane.key.route.shape());
            }
        }
        catalogue.learn_schemas(database, work, shapes).await?;
    }
    Ok(())
}
