//! What an operator should know about the stored tasks: those that are not run here, and those of
//! the future.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::crew::Crew;
use crate::backend::{List, RouteStats, TaskFilter};
use crate::log;
use crate::task::TaskId;

/// How often a worker looks for tasks that it does not run.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Tasks that were created later than so far ahead were created in the future.
const TOLERANCE: Duration = Duration::from_secs(1);

/// How many tasks are read at a time when those of the future are counted.
const PAGE: usize = 100;

/// Of so many tasks of the future, no more are counted.
const MOST: usize = 10_000;

/// Reports the tasks of the future once, and then, for ever, each route that waits in the storage
/// and that this worker does not run.
pub(super) async fn report(crew: Arc<Crew>) {
    report_future(&crew).await;
    let mut told = HashSet::new();
    loop {
        report_unrunnable(&crew, &mut told).await;
        crew.clock.sleep(REPORT_INTERVAL).await;
    }
}

/// Reports how many stored tasks were created in the future, which happens when the clock was set
/// back.
async fn report_future(crew: &Crew) {
    let soon = crew.clock.wall().plus(TOLERANCE);
    let (mut tasks, mut after) = (0, TaskId::first_of(soon));
    while tasks < MOST {
        // The sweep reports storage errors.
        let request = List::new(TaskFilter::new(), PAGE).after(Some(after));
        let page = crew.pull.list(request).await.unwrap_or_default();
        tasks +=
            page.iter().filter(|record| record.created > soon && record.died.is_none()).count();
        match page.last() {
            Some(last) if page.len() >= PAGE => after = last.spec.id,
            _ => break,
        }
    }
    if tasks > 0 {
        let or_more = tasks >= MOST;
        log::say(|| {
            tracing::warn!(
                tasks,
                or_more,
                "stored tasks were created in the future: the clock was ahead, or is behind now; those with a time of \
                 their own wait for it by this clock, all others run at once"
            )
        });
    }
}

/// Reports the routes that wait and are not run here, and that were not reported before.
async fn report_unrunnable(crew: &Crew, told: &mut HashSet<String>) {
    // The sweep reports storage errors.
    let lines = crew.pull.stats(crew.clock.now()).await.unwrap_or_default();
    for line in lines.iter().filter(|line| line.stats.scheduled > 0) {
        let Some(problem) = problem(crew, line) else { continue };
        if told.insert(problem.clone()) {
            log::say(|| {
                tracing::error!(
                    queue = %line.queue,
                    kind = %line.route.kind(),
                    tasks = line.stats.scheduled,
                    "tasks wait that are not run here: {problem}"
                )
            });
        }
    }
}

/// Why the tasks of this line are not run here, if that needs somebody's attention.
fn problem(crew: &Crew, line: &RouteStats) -> Option<String> {
    match (crew.routes.contains(&line.route), crew.queues.contains(&line.queue)) {
        (true, true) if line.is_newer => Some(format!(
            "a newer version of gae-tasks stored these tasks of `{}`, or the configuration of their queue `{}` cannot be \
             read: update this program, or `put_queue` it again if it is damaged",
            line.route.kind(),
            line.queue
        )),
        (false, true) => {
            Some(crew.registry.explain_unroutable(line.route.kind().as_str(), line.route.shape()))
        }
        (true, false) => Some(format!(
            "this worker does not serve their queue `{}`: unless another one does, add it to `.queues([..])`",
            line.queue
        )),
        // Another program's queue and tasks, or nothing to complain of.
        (false, false) | (true, true) => None,
    }
}
