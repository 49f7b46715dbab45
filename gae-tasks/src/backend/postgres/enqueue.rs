//! Storing tasks.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::batch::Batch;
use super::error::Fault;
use super::patience::Patience;
use super::shared::Shared;
use super::{flush, name, unique};
use crate::backend::{Enqueue, NewTask};
use crate::error::Error;
use crate::task::Deferred;
use crate::time::Now;

/// Stores tasks: small requests together with those of other callers, others in a transaction of
/// their own.
pub(super) async fn enqueue(
    shared: Arc<Shared>,
    request: Enqueue,
) -> Result<Vec<Result<Deferred, Error>>, Fault> {
    let Enqueue { now, tasks, .. } = request;
    if tasks.iter().all(|task| !task.spec.is_known_by_more()) {
        return store(&shared, now, tasks).await;
    }
    let mut answers: Vec<_> = tasks.iter().map(|_| None).collect();
    let mut left: Vec<_> = tasks.into_iter().enumerate().collect();
    // A task that is refused leaves nothing behind, not even the rows that tasks share. So only the
    // first task of each name is stored; another one only if that is refused. Tasks of one key may
    // each change what the one before has stored, so all of them are in one transaction.
    while !left.is_empty() {
        let known = asked(&shared, now, left.iter().map(|(_, task)| task).collect()).await?;
        let mut open = Vec::new();
        for ((place, task), known) in left.into_iter().zip(known) {
            match known {
                Some(answer) => answers[place] = Some(answer),
                None => open.push((place, task)),
            }
        }
        let firsts = name::firsts(open.iter().map(|(_, task)| task));
        let places: Vec<_> = open.iter().map(|(place, _)| *place).collect();
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for ((place, task), of) in open.into_iter().zip(firsts) {
            match places[of] {
                of if of == place => first.push((place, task)),
                of => others.push((of, place, task)),
            }
        }
        let (places, tasks): (Vec<_>, Vec<_>) = first.into_iter().unzip();
        for (place, answer) in places.into_iter().zip(store(&shared, now, tasks).await?) {
            answers[place] = Some(answer);
        }
        left = Vec::new();
        for (of, place, task) in others {
            match &answers[of] {
                Some(Ok(first)) if first.created => answers[place] = Some(Ok(like(first, &task))),
                _ => left.push((place, task)),
            }
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

/// Returns the answer for a task with the id or the name of another one, which was stored.
fn like(first: &Deferred, task: &NewTask) -> Deferred {
    if first.id == task.spec.id { *first } else { Deferred::new(first.id, false) }
}

/// Returns the answers that are clear before anything is written.
async fn asked(
    shared: &Shared,
    now: Now,
    tasks: Vec<&NewTask>,
) -> Result<Vec<Option<Result<Deferred, Error>>>, Fault> {
    let (database, mut patience) = (&*shared.database, Patience::new());
    loop {
        let asked = async {
            let mut connection = database.connection().await?;
            if tasks.iter().all(|task| task.spec.unique.is_none()) {
                return name::ask(database, &mut connection, now, &tasks).await;
            }
            let mut answers = Vec::with_capacity(tasks.len());
            for task in &tasks {
                answers.push(match task.spec.unique {
                    Some(_) => unique::ask(database, &mut connection, now, task).await?,
                    None => name::ask(database, &mut connection, now, &[*task]).await?.remove(0),
                });
            }
            Ok(answers)
        };
        match asked.await {
            Ok(answers) => return Ok(answers.into_iter().map(|known| known.map(Ok)).collect()),
            Err(fault) if patience.allows(database, &fault).await => {}
            Err(fault) => return Err(fault),
        }
    }
}

async fn store(
    shared: &Arc<Shared>,
    now: Now,
    tasks: Vec<NewTask>,
) -> Result<Vec<Result<Deferred, Error>>, Fault> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    prepare(shared, &tasks).await?;
    match flush::join(shared, &Handle::current(), (now, tasks)) {
        Ok(answer) => answer.await.unwrap_or(Err(Fault::Unknown)),
        Err((now, tasks)) => {
            let answers = Batch::new(now, tasks.iter().collect()).store(shared).await?;
            Ok(answers.into_iter().map(|answer| answer.map_err(Error::from)).collect())
        }
    }
}

/// Commits the rows that tasks share, before a transaction that others join.
async fn prepare(shared: &Shared, tasks: &[NewTask]) -> Result<(), Fault> {
    let tasks: Vec<_> = tasks.iter().collect();
    let mut patience = Patience::new();
    loop {
        match shared.catalogue.lanes_of(&shared.database, &tasks).await {
            Err(fault) if patience.allows(&shared.database, &fault).await => {}
            lanes => return lanes.map(drop),
        }
    }
}
