//! Tasks with names: who gets a name, and the answers for the others.

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::database::{Database, at, moment};
use super::error::Fault;
use super::rows::{Receipt, Statement};
use super::task::{id, uuid};
use crate::backend::NewTask;
use crate::backend::lifecycle::{Holder, refuse_name};
use crate::task::{Deferred, TaskName};
use crate::time::{Now, Timestamp};

/// Whether each task is stored, and who has its name.
pub(super) const ASK: &str = concat!(
    "SELECT ",
    moment!(),
    ", EXISTS (SELECT FROM gae_tasks.task t WHERE t.id = n.id), h.task, h.until FROM \
     unnest($2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY AS n(id, queue, name, no) LEFT \
     JOIN LATERAL (SELECT h.task, h.until FROM gae_tasks.name h WHERE h.queue = n.queue AND h.name \
     = n.name) h ON true ORDER BY n.no"
);

/// Takes names, each of them for one task, unless somebody has them. Names whose time has passed
/// are free.
pub(super) const TAKE: &str = concat!(
    "INSERT INTO gae_tasks.name AS h (queue, name, task) SELECT n.queue, n.name, n.task FROM \
     unnest($2::text[], $3::text[], $4::uuid[]) AS n(queue, name, task) ORDER BY n.queue \
     COLLATE \"C\", n.name COLLATE \"C\" ON CONFLICT (queue, name) DO UPDATE SET task = \
     excluded.task, until = NULL WHERE h.until <= ",
    moment!(),
    " RETURNING h.task"
);

/// How often a name may be lost to another caller, and be free again at the next look.
const ROUNDS: usize = 20;

/// Returns the answer for each task that is stored, or whose name somebody else has; `None` for
/// tasks that are to be stored.
pub(super) async fn ask(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
    tasks: &[&NewTask],
) -> Result<Vec<Option<Deferred>>, Fault> {
    let ids: Vec<_> = tasks.iter().map(|task| uuid(task.spec.id)).collect();
    let queues: Vec<_> = tasks.iter().map(|task| task.spec.queue.as_str()).collect();
    let names: Vec<_> =
        tasks.iter().map(|task| task.spec.name.as_ref().map(TaskName::as_str)).collect();
    let query = database.query(ASK).bind(at(now)).bind(ids).bind(queues).bind(names);
    let rows = query.fetch_all(connection).await?;
    let answer = |(row, task): (&sqlx::postgres::PgRow, &&NewTask)| {
        // The same task again has the same answer as the first time, whoever has its name.
        if row.try_get(1)? {
            return Ok(Some(Deferred::new(task.spec.id, true)));
        }
        let until = row.try_get::<Option<i64>, _>(3)?.map(Timestamp::from_micros);
        let holder = row.try_get::<Option<Uuid>, _>(2)?.map(id).map(|of| match until {
            None => Holder::Task(of),
            Some(until) => Holder::Tombstone { of, until },
        });
        Ok(refuse_name(holder, task.spec.id, Timestamp::from_micros(row.try_get(0)?)))
    };
    rows.iter().zip(tasks).map(answer).collect()
}

/// Stores tasks, some of which have names, and returns the answer for each.
pub(super) async fn insert(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
    tasks: &[(&NewTask, i64)],
) -> Result<(Vec<Deferred>, Option<Receipt>), Fault> {
    let mut answers: Vec<Option<Deferred>> = vec![None; tasks.len()];
    let mut receipt = None;
    for _ in 0..ROUNDS {
        let open: Vec<_> = (0..tasks.len()).filter(|place| answers[*place].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let asked: Vec<_> = open.iter().map(|place| tasks[*place].0).collect();
        let known = ask(database, connection, now, &asked).await?;
        let mut free = Vec::new();
        for (place, known) in open.into_iter().zip(known) {
            answers[place] = known;
            _ = known.is_none().then(|| free.push(place));
        }
        let firsts = firsts(free.iter().map(|place| tasks[*place].0)).into_iter().enumerate();
        let is_first = |(place, (own, of)): (usize, (usize, usize))| (own == of).then_some(place);
        let first = free.into_iter().zip(firsts).filter_map(is_first).collect();
        let taken = take(database, connection, now, tasks, first).await?;
        if !taken.is_empty() {
            let rows: Vec<_> = taken.iter().map(|place| tasks[*place]).collect();
            let insert = Statement::of(database, now, &rows)?;
            let last = insert.execute(connection).await?;
            receipt = Some(last.after(receipt.as_ref()));
        }
        for place in taken {
            answers[place] = Some(Deferred::new(tasks[place].0.spec.id, true));
        }
    }
    let answers: Option<Vec<_>> = answers.into_iter().collect();
    Ok((answers.ok_or_else(contended)?, receipt))
}

/// Returns for each task the place of the first that has its id or its name: its own, if that is
/// the first.
pub(super) fn firsts<'t>(tasks: impl Iterator<Item = &'t NewTask>) -> Vec<usize> {
    let (mut ids, mut names) = (HashMap::new(), HashMap::new());
    let first = |(place, task): (usize, &'t NewTask)| {
        let spec = &task.spec;
        let name = spec.name.as_ref().map(|name| (&spec.queue, name));
        let of_name = name.and_then(|name| names.get(&name));
        let first = ids.get(&spec.id).or(of_name).copied().unwrap_or(place);
        if first == place {
            ids.insert(spec.id, place);
            name.and_then(|name| names.insert(name, place));
        }
        first
    };
    tasks.enumerate().map(first).collect()
}

/// Takes the names of tasks; returns those that got theirs, or have none.
async fn take(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
    tasks: &[(&NewTask, i64)],
    first: Vec<usize>,
) -> Result<Vec<usize>, Fault> {
    let key = |place: &usize| {
        let spec = &tasks[*place].0.spec;
        Some((spec.queue.as_str(), spec.name.as_ref()?.as_str(), uuid(spec.id)))
    };
    let mut wanted: Vec<_> = first.iter().filter_map(key).collect();
    if wanted.is_empty() {
        return Ok(first);
    }
    // In one order everywhere, so that nobody waits in a circle.
    wanted.sort_unstable();
    let queues: Vec<_> = wanted.iter().map(|(queue, ..)| *queue).collect();
    let names: Vec<_> = wanted.iter().map(|(_, name, _)| *name).collect();
    let ids: Vec<_> = wanted.iter().map(|(.., id)| *id).collect();
    let query = database.prepared(TAKE).bind(at(now)).bind(queues).bind(names).bind(ids);
    let rows = query.fetch_all(connection).await.map_err(|error| held(error, &wanted))?;
    let taken =
        rows.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<Uuid>, sqlx::Error>>()?;
    let has_name = |place: &usize| key(place).is_none_or(|(.., id)| taken.contains(&id));
    Ok(first.into_iter().filter(has_name).collect())
}

/// Returns the fault of a transaction that could not take these names.
fn held(error: sqlx::Error, wanted: &[(&str, &str, Uuid)]) -> Fault {
    let fault = Fault::from(error);
    match wanted {
        [(queue, name, _), others @ ..] if fault.is_of_lock() => Fault::Held {
            queue: (*queue).to_owned(),
            name: match others {
                [] => (*name).to_owned(),
                others => format!("{name}, or one of {} others", others.len()),
            },
        },
        _ => fault,
    }
}

fn contended() -> Fault {
    Fault::Unfit("others take and free the names of these tasks all the time".to_owned())
}
