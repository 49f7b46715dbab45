//! Moves of schedules: a schedule and the tasks of its ticks change together.

use std::slice;
use std::sync::Arc;

use sqlx::Row;

use super::commit::commit;
use super::database::Database;
use super::error::{Fault, Problem};
use super::name;
use super::rows::Receipt;
use super::shared::Shared;
use super::work::Work;
use crate::backend::{NewTask, Tick, TickMove};
use crate::error::Error;
use crate::time::{Now, Timestamp};

pub(super) async fn tick(
    shared: Arc<Shared>,
    request: Tick,
) -> Result<Vec<Result<bool, Error>>, Fault> {
    let Tick { now, moves } = request;
    match make(&shared, now, &moves).await {
        Err(fault) if fault.is_of_data() => {}
        made => return Ok(made?.into_iter().map(Ok).collect()),
    }
    // A bad one fails alone.
    let mut answers = Vec::with_capacity(moves.len());
    for one in &moves {
        match make(&shared, now, slice::from_ref(one)).await {
            Err(fault) if fault.is_of_data() => answers.push(Err(refused(one, &fault))),
            made => answers.extend(made?.into_iter().map(Ok)),
        }
    }
    Ok(answers)
}

/// Makes moves in one transaction; returns which of them were made.
async fn make(shared: &Shared, now: Now, moves: &[TickMove]) -> Result<Vec<bool>, Fault> {
    let database = &*shared.database;
    let all: Vec<_> = moves.iter().flat_map(|made| &made.tasks).collect();
    if !all.is_empty() {
        shared.catalogue.lanes_of(database, &all).await?;
    }
    // Those who wait for names leave connections to others.
    let _turn = shared.names.acquire().await.ok();
    let mut work = database.begin_impatient().await?;
    let (made, xid) = move_all(database, &mut work, moves).await?;
    let Some(xid) = xid else { return Ok(made) };
    let pairs = moves.iter().zip(&made).filter(|(_, is_made)| **is_made);
    let tasks: Vec<_> = pairs.flat_map(|(of, _)| &of.tasks).collect();
    let receipt = store(shared, &mut work, now, &tasks).await?;
    commit(database, work, Some(&xid)).await?;
    if let Some(receipt) = receipt {
        shared.wake_late(receipt.begun.elapsed());
        // The tasks are stored, and a queue without a row has the default configuration.
        let kept = shared.catalogue.keep_queues(database, &tasks, receipt.queue_changes).await;
        if let Err(fault) = kept {
            database.heed(&fault);
        }
    }
    Ok(made)
}

/// Moves the schedules that have not changed since they were read; returns which, and the number of
/// the transaction if there are any. A schedule that another worker moves just now is left to it.
async fn move_all(
    database: &Database,
    work: &mut Work,
    moves: &[TickMove],
) -> Result<(Vec<bool>, Option<String>), Fault> {
    const MOVE: &str = "WITH mine AS MATERIALIZED (SELECT g.* FROM unnest($1::text[], $2::text[], \
                        $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) WITH ORDINALITY \
                        AS g(program, name, mark, since, last_tick, next, no) CROSS JOIN LATERAL \
                        (SELECT 1 FROM gae_tasks.schedule s WHERE s.program = g.program AND \
                        s.name = g.name AND s.mark = g.mark AND NOT s.paused FOR UPDATE SKIP \
                        LOCKED) s) UPDATE gae_tasks.schedule s SET since = m.since, last_tick = \
                        coalesce(m.last_tick, s.last_tick), next = m.next, mark = s.mark + 1 FROM \
                        mine m WHERE s.program = m.program AND s.name = m.name RETURNING m.no, \
                        pg_current_xact_id()::text";
    let texts = |of: fn(&TickMove) -> &str| moves.iter().map(of).collect::<Vec<_>>();
    let times = |of: fn(&TickMove) -> Option<Timestamp>| {
        let micros = moves.iter().map(|made| of(made).map(Timestamp::as_micros));
        micros.collect::<Vec<_>>()
    };
    let query = database
        .query(MOVE)
        .bind(texts(|made| &made.key.program))
        .bind(texts(|made| &made.key.name))
        .bind(moves.iter().map(|made| made.mark).collect::<Vec<_>>())
        .bind(times(|made| Some(made.since)))
        .bind(times(|made| made.last_tick))
        .bind(times(|made| made.next));
    let (mut made, mut xid) = (vec![false; moves.len()], None);
    for row in query.fetch_all(&mut **work).await? {
        // Counted from 1.
        let place = usize::try_from(row.try_get::<i64, _>(0)? - 1).unwrap_or(usize::MAX);
        if let Some(made) = made.get_mut(place) {
            *made = true;
        }
        xid = Some(row.try_get(1)?);
    }
    Ok((made, xid))
}

/// Stores the tasks of ticks, but for those whose names are in use: they are stored already.
async fn store(
    shared: &Shared,
    work: &mut Work,
    now: Now,
    tasks: &[&NewTask],
) -> Result<Option<Receipt>, Fault> {
    // On the server that the transaction is on.
    let lanes = shared.catalogue.known_lanes_of(tasks.iter().copied());
    let lanes = lanes.filter(|lanes| work.is_in(lanes.epoch)).ok_or(Fault::Moved)?;
    let laned: Vec<_> = tasks.iter().copied().zip(lanes.ids).collect();
    Ok(name::insert(&shared.database, work, now, &laned).await?.1)
}

fn refused(made: &TickMove, fault: &Fault) -> Error {
    let text = format!(
        "refuses the tasks of the schedule {}: a rule of the database is against them",
        made.key
    );
    Problem::new(text, fault.cause()).into()
}
