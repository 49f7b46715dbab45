//! The role that tidies: recovers leases that others lost, forgets what is old, tells of tasks that are not run.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Crew, pause};
use crate::backend::{RouteStats, Sweep};

/// How often lost leases are looked for: that a process is gone can be known at once.
const INTERVAL: Duration = Duration::from_millis(500);

/// How often tasks that are not run are looked for.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Most changes of each sort in one sweep.
const LIMIT: usize = 1000;

/// How much the wall clock may differ from the monotonic one between two sweeps: more is a jump.
const TOLERANCE: i64 = 1_000_000;

/// Sweeps once, so that tasks of a worker that was killed are due at once, and from then on in the background.
///
/// Dropping the answer ends it.
pub(super) async fn start(crew: Arc<Crew>) -> JoinSet<()> {
    let mut calm = Calm::new(&crew);
    calm.answered = sweep(&crew, LIMIT).await.then(|| crew.clock.monotonic());
    let mut background = JoinSet::new();
    background.spawn(async move {
        let mut reporter = Reporter::default();
        loop {
            reporter.report(&crew).await;
            crew.clock.sleep(calm.interval()).await;
            calm.sweep(&crew).await;
        }
    });
    background
}

/// Sweeps, with at most so many changes of each sort; answers whether the storage did.
async fn sweep(crew: &Arc<Crew>, limit: usize) -> bool {
    let request = Sweep {
        now: crew.clock.now(),
        dead_letters: crew.retention.dead_letters,
        tombstones: crew.retention.tombstones,
        limit,
    };
    match crew.pull.sweep(request).await {
        Ok(swept) => {
            if swept.recovered > 0 {
                let (tasks, died) = (swept.recovered, swept.died);
                tracing::warn!(tasks, died, "recovered the tasks of a worker that is gone");
            }
            forget_beside(crew, swept.attributes);
        }
        Err(error) => {
            tracing::error!(error = crate::outcome::chain(&error), "cannot sweep, trying again");
            return false;
        }
    }
    true
}

/// Deletes what was kept elsewhere for dead letters that are forgotten; nobody waits for that.
fn forget_beside(crew: &Arc<Crew>, attributes: Vec<Vec<u8>>) {
    if attributes.is_empty() {
        return;
    }
    let crew = Arc::clone(crew);
    tokio::spawn(async move {
        for attributes in attributes {
            crew.dispatcher.forget(&attributes).await;
        }
    });
}

/// Keeps from sweeping while leases seem to have expired though their workers live: after a jump of the wall clock, and
/// when the storage was away for so long that nobody could extend them. Workers extend within a third of their leases'
/// time, and record what has ended, so for one lease time nothing is taken for lost.
struct Calm {
    offset: i64,
    calm_from: Duration,
    /// When the storage last answered a sweep.
    answered: Option<Duration>,
    failures: u32,
}

impl Calm {
    fn new(crew: &Crew) -> Self {
        Self { offset: Self::offset(crew), calm_from: Duration::ZERO, answered: None, failures: 0 }
    }

    async fn sweep(&mut self, crew: &Arc<Crew>) {
        if self.has_jumped(crew) {
            self.calm_from = crew.clock.monotonic() + crew.lease;
        }
        if crew.clock.monotonic() < self.calm_from {
            return;
        }
        let away = self.answered.map(|answered| crew.clock.monotonic().saturating_sub(answered));
        // Whether it is back is asked by a sweep that may change nothing.
        let was_away = away.is_some_and(|away| away > crew.lease / 3);
        let answers = sweep(crew, if was_away { 0 } else { LIMIT }).await;
        if answers && was_away {
            tracing::warn!(?away, "the storage is back: for one lease time no lease is taken for lost");
            self.calm_from = crew.clock.monotonic() + crew.lease;
        }
        if answers {
            (self.answered, self.failures) = (Some(crew.clock.monotonic()), 0);
        } else {
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Until the next sweep: longer while the storage is away.
    fn interval(&self) -> Duration {
        INTERVAL.max(pause(self.failures))
    }

    fn has_jumped(&mut self, crew: &Crew) -> bool {
        let (before, now) = (self.offset, Self::offset(crew));
        self.offset = now;
        let has_jumped = now.abs_diff(before) > TOLERANCE.unsigned_abs();
        if has_jumped {
            let micros = now.saturating_sub(before);
            tracing::warn!(micros, "the wall clock has jumped: for one lease time no lease is taken for lost");
        }
        has_jumped
    }

    /// The wall clock less the monotonic one, in microseconds.
    fn offset(crew: &Crew) -> i64 {
        crew.clock.wall().minus(crew.clock.monotonic()).as_micros()
    }
}

/// Tells once of each route that waits in the storage and that this worker does not run.
#[derive(Debug, Default)]
struct Reporter {
    told: HashSet<String>,
    last: Option<Duration>,
}

impl Reporter {
    async fn report(&mut self, crew: &Crew) {
        let now = crew.clock.monotonic();
        if self.last.is_some_and(|last| now.saturating_sub(last) < REPORT_INTERVAL) {
            return;
        }
        self.last = Some(now);
        // Storage errors are told by the sweep.
        let lines = crew.pull.stats(crew.clock.now()).await.unwrap_or_default();
        for line in lines.iter().filter(|line| line.stats.scheduled > 0) {
            let Some(problem) = problem(crew, line) else { continue };
            if self.told.insert(problem.clone()) {
                tracing::error!(
                    queue = %line.queue,
                    kind = %line.route.kind(),
                    tasks = line.stats.scheduled,
                    "tasks wait that are not run here: {problem}"
                );
            }
        }
    }
}

/// Why the tasks of this line are not run here, if that needs somebody's attention.
fn problem(crew: &Crew, line: &RouteStats) -> Option<String> {
    match (crew.routes.contains(&line.route), crew.queues.contains(&line.queue)) {
        (false, true) => Some(crew.registry.explain_unroutable(line.route.kind().as_str(), line.route.shape())),
        (true, false) => Some(format!(
            "this worker does not serve their queue `{}`: unless another one does, add it to `.queues([..])`",
            line.queue
        )),
        // Another program's queue and tasks, or nothing to complain of.
        (false, false) | (true, true) => None,
    }
}
