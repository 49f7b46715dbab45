//! What an operator should know about the stored tasks: those that are not run here, and those of the future.

use std::collections::HashSet;
use std::time::Duration;

use super::Crew;
use crate::backend::{List, RouteStats, TaskFilter};
use crate::log;
use crate::task::TaskId;

/// How often a worker looks for tasks that it does not run.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Tasks that were created later than so far ahead were created in the future.
const TOLERANCE: Duration = Duration::from_secs(1);

/// How many tasks are read at a time when those of the future are counted.
const PAGE: usize = 100;

/// Reports once each route that waits in the storage and that this worker does not run.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    told: HashSet<String>,
    last: Option<Duration>,
}

impl Reporter {
    /// Reports how many stored tasks were created in the future, as it looks where the clock was set back.
    pub(super) async fn report_future(&self, crew: &Crew) {
        let soon = crew.clock.wall().plus(TOLERANCE);
        let (mut tasks, mut after) = (0, Some(TaskId::first_of(soon)));
        while after.is_some() {
            // The sweep reports storage errors.
            let request = List { filter: TaskFilter::new(), after, limit: PAGE };
            let page = crew.pull.list(request).await.unwrap_or_default();
            tasks += page.iter().filter(|record| record.created > soon && record.died.is_none()).count();
            after = page.last().map(|record| record.id);
        }
        if tasks > 0 {
            log::say(|| {
                tracing::warn!(
                    tasks,
                    "stored tasks were created in the future: the clock was ahead, or is behind now; those with a time of \
                 their own wait for it by this clock, all others run at once"
                )
            });
        }
    }

    /// Reports the routes that wait and are not run here, at most once a minute.
    pub(super) async fn report(&mut self, crew: &Crew) {
        let now = crew.clock.monotonic();
        if self.last.is_some_and(|last| now.saturating_sub(last) < REPORT_INTERVAL) {
            return;
        }
        self.last = Some(now);
        // The sweep reports storage errors.
        let lines = crew.pull.stats(crew.clock.now()).await.unwrap_or_default();
        for line in lines.iter().filter(|line| line.stats.scheduled > 0) {
            let Some(problem) = problem(crew, line) else { continue };
            if self.told.insert(problem.clone()) {
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
        (false, true) => Some(crew.registry.explain_unroutable(line.route.kind().as_str(), line.route.shape())),
        (true, false) => Some(format!(
            "this worker does not serve their queue `{}`: unless another one does, add it to `.queues([..])`",
            line.queue
        )),
        // Another program's queue and tasks, or nothing to complain of.
        (false, false) | (true, true) => None,
    }
}
