//! Reports for operators about stored tasks: tasks that no instance here runs, and tasks created in
//! the future.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::crew::Crew;
use crate::backend::{List, RouteStats, TaskFilter};
use crate::log;
use crate::queue::QueueName;
use crate::registry::explain::explain_refused;
use crate::task::{Route, TaskId};

/// How often a worker looks for tasks that it does not run.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// A task whose creation time is further ahead than this was created in the future.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The number of tasks per page when tasks of the future are counted.
const PAGE: usize = 100;

/// The count of tasks of the future stops at this number.
const MOST: usize = 10_000;

/// Reports the tasks of the future once, and then, repeatedly, each route that waits in the storage
/// and that this worker does not run.
pub(super) async fn report(crew: Arc<Crew>) {
    report_future(&crew).await;
    if crew.errand.is_some() {
        // Every route is leased.
        return;
    }
    let mut reported = HashSet::new();
    loop {
        report_unrunnable(&crew, &mut reported).await;
        crew.clock.sleep(REPORT_INTERVAL).await;
    }
}

/// Reports the number of stored tasks that were created in the future. There are such tasks after
/// the clock was set back.
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
                "stored tasks were created in the future: the clock was ahead, or is behind now; \
                 tasks with a schedule time of their own wait for that time by this clock, all \
                 others run at once"
            )
        });
    }
}

/// Reports the waiting routes that this worker does not run, each once.
async fn report_unrunnable(crew: &Crew, reported: &mut HashSet<(QueueName, Route, String)>) {
    // The sweep reports storage errors.
    let mut lines = crew.pull.stats(crew.clock.now()).await.unwrap_or_default();
    lines.retain(|line| line.stats.scheduled > 0);
    let shapes = lines.iter().map(|line| line.route.shape()).collect();
    let schemas = crew.pull.schemas(shapes).await.unwrap_or_default();
    let schemas = schemas.iter().map(Option::as_deref).chain(std::iter::repeat(None));
    for (line, schema) in lines.iter().zip(schemas) {
        let Some((tasks, problem)) = problem(crew, line, schema) else { continue };
        if reported.insert((line.queue.clone(), line.route.clone(), problem.clone())) {
            log::say(|| {
                tracing::error!(
                    queue = %line.queue,
                    kind = %line.route.kind(),
                    tasks,
                    "waiting tasks are not run here: {problem}"
                )
            });
        }
    }
}

/// Explains why tasks of this line are not run here, if an operator should know, and counts them.
fn problem(crew: &Crew, line: &RouteStats, schema: Option<&[u8]>) -> Option<(u64, String)> {
    let (kind, shape) = (line.route.kind().as_str(), line.route.shape());
    let routed = crew.registry.find(kind, shape, schema);
    let all = line.stats.scheduled;
    match (routed, crew.queues.contains(&line.queue)) {
        (Some(_), true) if line.is_newer => Some((
            all,
            format!(
                "a newer version of gae-tasks stored these tasks of `{}`, or the configuration of \
                 their queue `{}` cannot be read: update this program, or store the configuration \
                 again with `put_queue` if it is damaged",
                line.route.kind(),
                line.queue
            ),
        )),
        (None, true) => Some((all, crew.registry.explain_unroutable(kind, shape, schema))),
        (Some(routed), true) => {
            let refused = routed.refused(line)?;
            Some((refused.scheduled, explain_refused(&routed, kind)))
        }
        // Another worker's queue.
        (Some(_), false) if crew.left_out.contains(&line.queue) => None,
        (Some(_), false) => Some((
            all,
            format!(
                "this worker does not serve their queue `{}`: unless another worker does, add the \
                 queue to `.queues([..])`",
                line.queue
            ),
        )),
        // Another program's queue and tasks.
        (None, false) => None,
    }
}
