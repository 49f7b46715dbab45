//! Reads some tasks of each route with their payloads: by the order in which its lanes are leased,
//! and by the index of dead letters, whatever else is stored.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::error::Fault;
use super::lane::Lane;
use super::purge::lanes;
use super::record::{self, record_columns};
use super::shared::Shared;
use super::unreadable;
use crate::backend::{Sample, Sampled, TaskState};
use crate::task::Route;

/// A task of a route of the request.
struct Found {
    /// The route's place in the request.
    place: usize,
    id: Uuid,
    state: TaskState,
    size: usize,
}

pub(super) async fn sample(shared: Arc<Shared>, request: Sample) -> Result<Vec<Sampled>, Fault> {
    const READ: &str = concat!(
        "SELECT ",
        record_columns!("t.payload"),
        " FROM gae_tasks.task t LEFT JOIN gae_tasks.lane l ON l.id = t.lane WHERE t.id = ANY($1)"
    );
    let database = &shared.database;
    let mut connection = database.connection().await?;
    let mut found = find(&shared, &mut connection, &request).await?;
    keep_enough(&mut found, &request);
    let ids: Vec<_> = found.iter().map(|found| found.id).collect();
    let rows = database.query(READ).bind(ids).fetch_all(&mut *connection).await?;
    let mut records = HashMap::new();
    for row in &rows {
        records.insert(row.try_get::<Uuid, _>(0)?, record::read(database, row));
    }
    let mut sampled = vec![Sampled::default(); request.routes.len()];
    for Found { place, id, state, .. } in found {
        let of_route = &mut sampled[place];
        match records.remove(&id) {
            Some(Ok(record)) => of_route.records.push(record),
            Some(Err(_)) => {
                unreadable::task(database, super::task::id(id));
                of_route.unreadable.push(state);
            }
            // The task is over.
            None => {}
        }
    }
    Ok(sampled)
}

/// Finds tasks of the routes, as many as the request asks for of each lane: first those that wait,
/// then those that are leased, then dead letters.
async fn find(
    shared: &Shared,
    connection: &mut PgConnection,
    request: &Sample,
) -> Result<Vec<Found>, Fault> {
    const FIND: &str = "SELECT * FROM (SELECT 0 AS state, n.place, w.task, w.size FROM \
                        unnest($1::bigint[]) WITH ORDINALITY AS n(lane, place) CROSS JOIN LATERAL \
                        (SELECT task, size FROM gae_tasks.waiting WHERE lane = n.lane ORDER BY \
                        lane, standing, timed, due, task LIMIT $2) w UNION ALL SELECT 1, \
                        array_position($1, t.lane), t.id, t.size FROM gae_tasks.lease e CROSS JOIN \
                        LATERAL (SELECT id, lane, octet_length(payload) AS size FROM \
                        gae_tasks.task WHERE id = e.task AND died IS NULL OFFSET 0) t WHERE t.lane \
                        = ANY($1) UNION ALL SELECT 2, n.place, d.id, d.size FROM \
                        unnest($1::bigint[]) WITH ORDINALITY AS n(lane, place) CROSS JOIN LATERAL \
                        (SELECT id, octet_length(payload) AS size FROM gae_tasks.task WHERE lane = \
                        n.lane AND died IS NOT NULL ORDER BY died DESC LIMIT $2) d) f ORDER BY \
                        state, place";
    let lanes = readable_lanes(shared, connection, request).await?;
    let ids: Vec<_> = lanes.iter().map(|(lane, _)| lane.id).collect();
    let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
    let query = shared.database.query(FIND).bind(&ids).bind(limit);
    let rows = query.fetch_all(connection).await?;
    let mut found = Vec::new();
    for row in &rows {
        let state = match row.try_get::<i32, _>(0)? {
            0 => TaskState::Scheduled,
            1 => TaskState::Leased,
            _ => TaskState::Dead,
        };
        let of_lane = usize::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default();
        let Some((_, place)) = lanes.get(of_lane.wrapping_sub(1)) else { continue };
        let size = usize::try_from(row.try_get::<i32, _>(3)?).unwrap_or_default();
        found.push(Found { place: *place, id: row.try_get(2)?, state, size });
    }
    Ok(found)
}

/// Returns the lanes of the routes, with the place of the route: there is one for each version and
/// priority, and for the readers that refused.
async fn readable_lanes(
    shared: &Shared,
    connection: &mut PgConnection,
    request: &Sample,
) -> Result<Vec<(Lane, usize)>, Fault> {
    let places: HashMap<&Route, usize> = request.routes.iter().zip(0..).collect();
    let mut lanes: Vec<_> = lanes(shared, connection, &request.queue)
        .await?
        .into_iter()
        .filter_map(|(_, lane)| lane.filter(|lane| !lane.key.is_newer()))
        .filter_map(|lane| places.get(&lane.key.route).map(|place| (lane, *place)))
        .collect();
    // Refused tasks come first: they are known to be a problem for somebody.
    lanes.sort_by_key(|(lane, _)| lane.key.refusers.is_empty());
    Ok(lanes)
}

/// Keeps, of each route, as many tasks as the request asks for.
fn keep_enough(found: &mut Vec<Found>, request: &Sample) {
    let mut kept = vec![(0, 0_usize); request.routes.len()];
    found.retain(|found| {
        let (tasks, bytes) = &mut kept[found.place];
        let is_kept = *tasks < request.limit && *bytes < request.bytes;
        if is_kept {
            *tasks += 1;
            *bytes = bytes.saturating_add(found.size);
        }
        is_kept
    });
}
