//! The rows of new tasks.

use std::collections::{BTreeMap, HashMap};

use super::super::queue_row::encoded;
use super::super::{enqueue, ready, row, waiting};
use super::statements::{Failed, Statements, Value};
use super::{lane, names, unique};
use crate::backend::unique::{Claim, Place};
use crate::backend::{NewTask, Standing};
use crate::task::Deferred;
use crate::time::Timestamp;

/// Stores tasks; returns the answer for each, in their order.
pub(super) async fn store(
    statements: &mut impl Statements,
    tasks: &[NewTask],
    now: Timestamp,
) -> Result<Vec<Deferred>, Failed> {
    let mut answers = Vec::with_capacity(tasks.len());
    // Looked up once in this call; nothing outlives it.
    let mut lanes = HashMap::new();
    let mut first_due = BTreeMap::<i64, i64>::new();
    for task in tasks {
        let spec = &task.spec;
        if let Some(name) = &spec.name
            && let Some(answer) = names::take(statements, (&spec.queue, name), spec.id, now).await?
        {
            answers.push(answer);
            continue;
        }
        let (answer, place) = match spec.unique {
            Some(key) => unique::take(statements, task, key, now).await?,
            None => {
                let claim = Claim::UNASKED;
                (claim.answer(spec.id), claim.place(task.schedule, now))
            }
        };
        answers.push(answer);
        let Some(place) = place else { continue };
        let key = (&spec.queue, &spec.kind, spec.shape, spec.version(), spec.priority);
        let lane = match lanes.get(&key) {
            Some(lane) => *lane,
            None => {
                let lane = lane::of(statements, task).await?;
                lanes.insert(key, lane);
                lane
            }
        };
        let due = insert(statements, task, lane, place).await?;
        if spec.unique.is_some() {
            // The next task may take its place.
            add_ready(statements, lane, due).await?;
        } else {
            first_due.entry(lane).and_modify(|first| *first = due.min(*first)).or_insert(due);
        }
    }
    for (lane, due) in first_due {
        add_ready(statements, lane, due).await?;
    }
    Ok(answers)
}

/// Records that a task waits in a lane.
async fn add_ready(statements: &mut impl Statements, lane: i64, due: i64) -> Result<(), Failed> {
    let values = [(Standing::Clear as i64).into(), lane.into(), due.into()];
    statements.run(ready::ADD, &values).await.map(drop)
}

/// Writes the rows of a task; returns when it is due, in the stored form of its lane.
async fn insert(
    statements: &mut impl Statements,
    task: &NewTask,
    lane: i64,
    (wait, created): Place,
) -> Result<i64, Failed> {
    let spec = &task.spec;
    let due = wait.due().as_micros();
    let id = Value::from(spec.id.as_bytes().as_slice());
    let retry = spec.retry.as_ref().map(encoded).transpose();
    let retry = retry.map_err(|_| Failed::of(None, "the retry settings cannot be stored"))?;
    let known_as = spec.known_as();
    let values = [
        id,
        lane.into(),
        created.as_micros().into(),
        due.into(),
        spec.max_attempts.map(i64::from).into(),
        spec.deadline.map(row::nanos).into(),
        known_as.as_deref().into(),
        retry.as_deref().into(),
        spec.attributes.as_deref().into(),
        task.payload.as_slice().into(),
    ];
    if statements.run(enqueue::INSERT, &values).await? == 0 {
        return Err(Failed::of(None, "a task of this id is stored already"));
    }
    let timed = i64::from(wait.is_timed());
    let standing = Standing::Clear as i64;
    let values = [lane.into(), standing.into(), timed.into(), due.into(), id, Value::Null];
    statements.run(waiting::PUT, &values).await?;
    Ok(ready::due(wait))
}
