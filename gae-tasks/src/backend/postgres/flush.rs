//! Coalescing: the tasks of many callers become one transaction, and each caller is answered when
//! its own tasks are committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::batch::{Answers, Batch};
use super::callers::{Caller, Stored};
use super::error::Fault;
use super::rows::bytes;
use super::shared::Shared;
use super::work::Work;
use crate::backend::NewTask;
use crate::error::Error;
use crate::time::Now;

/// A larger request is stored in a transaction of its own.
const SMALL: (usize, usize) = (100, 256 * 1024);

/// For how long a flush keeps its connection, so that others who wait for one get it in their turn.
const TURN: Duration = Duration::from_millis(50);

/// What a caller brings: the moment and its tasks.
pub(super) type Brought = (Now, Vec<NewTask>);

/// Stores tasks together with those of other callers. Returns the tasks if there are none or many,
/// if some have names, or if too many wait already.
pub(super) fn join(
    shared: &Arc<Shared>,
    runtime: &Handle,
    brought: Brought,
) -> Result<oneshot::Receiver<Stored>, Brought> {
    let tasks = &brought.1;
    let has_names = tasks.iter().any(|task| task.spec.is_known_by_more());
    if tasks.is_empty() || !is_small(tasks) || has_names {
        return Err(brought);
    }
    let (answer, receiver) = oneshot::channel();
    let (now, tasks) = brought;
    let added = shared.callers.add(Caller { now, tasks, answer });
    if added.map_err(|caller| (caller.now, caller.tasks))? {
        runtime.spawn(flush(Turn { shared: Arc::clone(shared), is_over: false }));
    }
    Ok(receiver)
}

/// Whether tasks are few enough to be stored together with those of others.
pub(super) fn is_small(tasks: &[NewTask]) -> bool {
    tasks.len() <= SMALL.0 && bytes(tasks) <= SMALL.1
}

/// One of the flushes that run.
struct Turn {
    shared: Arc<Shared>,
    is_over: bool,
}

impl Turn {
    fn take(&mut self) -> Option<Vec<Caller>> {
        let taken = self.shared.callers.take();
        self.is_over = taken.is_none();
        taken
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.callers.give_up();
        }
    }
}

/// Stores what waits, until nothing does.
async fn flush(mut turn: Turn) {
    let (mut open, mut begun) = (None::<Work>, Instant::now());
    loop {
        if open.is_some() {
            turn.shared.callers.come().await;
        }
        let Some(callers) = turn.take() else {
            // Nothing was written, so a fault is of no matter; a rollback would count as a failure.
            if let Some(work) = open {
                _ = work.commit().await;
            }
            return;
        };
        let Some(now) = callers.first().map(|caller| caller.now) else { continue };
        let tasks = callers.iter().flat_map(|caller| caller.tasks.iter());
        let batch = Batch::new(now, tasks.collect());
        if open.is_none() {
            begun = Instant::now();
        }
        let chains = begun.elapsed() < TURN;
        let stored = batch.store_and_chain(&turn.shared, open.take(), chains).await;
        drop(batch);
        match stored {
            Ok((answers, next)) => {
                open = next;
                answer(callers, answers);
            }
            Err(fault) => fail(&turn.shared, callers, fault).await,
        }
    }
}

fn answer(callers: Vec<Caller>, answers: Answers) {
    let mut answers = answers.into_iter().map(|answer| answer.map_err(Error::from));
    for caller in callers {
        let own = answers.by_ref().take(caller.tasks.len()).collect();
        // A caller that has gone does not hear of it.
        _ = caller.answer.send(Ok(own));
    }
}

async fn fail(shared: &Shared, callers: Vec<Caller>, fault: Fault) {
    let fault = shared.database.explain(fault).await;
    let problem = fault.problem_at(shared.database.place());
    for caller in callers {
        _ = caller.answer.send(Err(Fault::Shared(problem.clone())));
    }
}
