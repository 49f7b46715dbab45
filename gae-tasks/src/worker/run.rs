//! The role that makes attempts: a fixed number of runners, each of which takes the next waiting
//! task.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::crew::Crew;
use super::errand::{Errand, Hold};
use super::held::Held;
use super::waiting::Waiting;
use crate::backend::outlook::Outlook;
use crate::backend::{LeasedTask, Settlement, Verdict, stored_schema};
use crate::log;
use crate::outcome::{Failure, Outcome};
use crate::registration::Registration;
use crate::routed::Routed;
use crate::task::TaskSpec;
use crate::unwind;

/// Keeps the number of runners at `wanted`: runners that have ended are replaced.
pub(super) fn hire<R>(runners: &mut JoinSet<()>, wanted: usize, mut runner: impl FnMut() -> R)
where
    R: Future<Output = ()> + Send + 'static,
{
    while let Some(ended) = runners.try_join_next() {
        unwind::discard(ended);
    }
    while runners.len() < wanted {
        runners.spawn(runner());
    }
}

/// Runs waiting tasks one after the other, for ever.
pub(super) async fn runner(crew: Arc<Crew>, settlements: UnboundedSender<Settlement>) {
    loop {
        let task = crew.waiting.next().await;
        let running =
            Running { waiting: &crew.waiting, held: &crew.held, task: &task, is_settled: false };
        crew.waiting.moved.notify_one();
        let settlement = match &crew.errand {
            Some(errand) => {
                let (lease, is_closed) = (task.lease, crew.waiting.closing());
                run_errand(&**errand, &task, Hold { held: &crew.held, lease, is_closed }).await
            }
            None => Some(attempt(&crew, &task).await),
        };
        if let Some(settlement) = settlement {
            running.settle(settlement, &settlements);
        }
    }
}

/// Deals with a task. If that panics, the lease is left to expire: the task rests meanwhile, and
/// its next holder sees that the errand may be done.
async fn run_errand(errand: &dyn Errand, task: &LeasedTask, hold: Hold<'_>) -> Option<Settlement> {
    let done = unwind::caught(pin!(Some(async { errand.run(task, hold).await }))).await;
    done.unwrap_or_else(|panic| {
        let TaskSpec { id, kind, queue, .. } = &task.spec;
        log::say(|| {
            tracing::error!(
                %id, %queue, %kind, panic,
                "the {} panicked: the task is tried again after its lease", errand.name()
            );
        });
        None
    })
}

/// A running attempt. However its runner ends, the attempt stops counting as running and its lease
/// is not kept for ever.
struct Running<'a> {
    waiting: &'a Waiting,
    held: &'a Held,
    task: &'a LeasedTask,
    /// Whether the settler has the outcome; the settler keeps the lease until the outcome is
    /// recorded.
    is_settled: bool,
}

impl Running<'_> {
    fn settle(mut self, settlement: Settlement, settlements: &UnboundedSender<Settlement>) {
        self.held.ended(&self.task.lease);
        self.is_settled = settlements.send(settlement).is_ok();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.held.forget(&self.task.lease);
        }
        self.waiting.end(&self.task.spec.queue);
    }
}

/// Makes one attempt. If code other than the handler panics, the attempt has failed.
async fn attempt(crew: &Crew, task: &LeasedTask) -> Settlement {
    let Some(routed) = routed(crew, task).await else {
        return Settlement::new(task.lease, Verdict::Release);
    };
    let made = unwind::caught(pin!(Some(make(crew, task, &routed)))).await;
    made.unwrap_or_else(|panic| {
        log::say(|| {
            tracing::error!(
                id = %task.lease.id, kind = %task.spec.kind, panic,
                "an attempt panicked outside its handler"
            )
        });
        let outcome = Outcome::failed(None, Panicked(panic).into());
        settled(task, &routed, &outcome)
    })
}

/// The task's function. What was leased can be read, unless that was found out since.
async fn routed(crew: &Crew, task: &LeasedTask) -> Option<Routed> {
    let (kind, shape) = (task.spec.kind.as_str(), task.spec.shape);
    if let Some(routed) = crew.registry.find(kind, shape, None) {
        return Some(routed);
    }
    let schema = stored_schema(&*crew.pull, shape).await;
    let routed = crew.registry.find(kind, shape, schema.as_deref());
    if routed.is_none() {
        let why = || crew.registry.explain_unroutable(kind, shape, schema.as_deref());
        crew.take_back(&task.spec.route(), why);
    }
    routed
}

async fn make(crew: &Crew, task: &LeasedTask, routed: &Routed) -> Settlement {
    let context = crew.dispatcher.context_of(task, routed);
    if !crew.held.started(task.lease, &context, crew.overdue()) {
        return Settlement::new(task.lease, Verdict::Release);
    }
    let started = crew.clock.wall();
    let attributes = task.spec.attributes.as_deref();
    let outlook = |failure: &Failure| {
        if context.is_cancel_requested() {
            return Outlook::LAST;
        }
        Outlook::of_leased(task, routed, failure, started, crew.clock.wall())
    };
    let outcome =
        crew.dispatcher.dispatch(routed, &task.payload, attributes, &context, &outlook).await;
    // Another reading of the function may have taken its place.
    if let Some(difference) = routed.reading.refused()
        && routed.next_after(&routed.reading).is_none()
    {
        let kind = &task.spec.kind;
        let why =
            || format!("the function at {} cannot read `{kind}`: {difference}", routed.location);
        crew.take_back(&task.spec.route(), why);
    }
    let settlement = Settlement { started: Some(started), ..settled(task, routed, &outcome) };
    settlement.of_attempt(context.is_completed(), routed.max_attempts)
}

fn settled(task: &LeasedTask, registration: &Registration, outcome: &Outcome) -> Settlement {
    let verdict = registration.verdict(outcome);
    let mut settlement = Settlement::new(task.lease, verdict);
    settlement.backoff = registration.backoff;
    settlement
}

/// The attempt panicked outside its handler.
#[derive(Debug, thiserror::Error)]
#[error("the attempt panicked outside its handler: {0}")]
struct Panicked(String);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::super::held::tests::{held, lease};
    use super::super::waiting::tests::task;
    use super::*;
    use crate::backend::{BoxFuture, Standing};

    fn running<'a>(waiting: &'a Waiting, held: &'a Held, task: &'a LeasedTask) -> Running<'a> {
        waiting.add(vec![task.clone()], Duration::ZERO);
        pollster::block_on(waiting.next());
        Running { waiting, held, task, is_settled: false }
    }

    #[test]
    fn a_runner_that_ends_leaves_no_lease_behind() {
        let ((held, context), waiting, task) =
            (held(), Waiting::default(), task("default", 1, Standing::Clear));
        drop(running(&waiting, &held, &task));
        assert!(held.all().is_empty() && context.is_cancelled());
        assert_eq!((waiting.running(), waiting.ended()), (0, 1));
    }

    #[test]
    fn a_lease_is_kept_until_its_outcome_is_recorded_and_no_longer_where_nobody_records() {
        let ((held, context), waiting, task) =
            (held(), Waiting::default(), task("default", 1, Standing::Clear));
        let (settlements, received) = tokio::sync::mpsc::unbounded_channel();
        let settlement = || Settlement::new(lease(), Verdict::Done);
        running(&waiting, &held, &task).settle(settlement(), &settlements);
        assert!(held.all() == [lease()] && !held.all_recorded() && !context.is_cancelled());
        drop(received);
        running(&waiting, &held, &task).settle(settlement(), &settlements);
        assert!(held.all().is_empty());
    }

    /// Panics, or does what it is asked to.
    #[derive(Debug)]
    struct Unsure {
        panics: bool,
    }

    impl Errand for Unsure {
        fn name(&self) -> &'static str {
            "errand"
        }

        fn run<'a>(
            &'a self,
            task: &'a LeasedTask,
            _: Hold<'a>,
        ) -> BoxFuture<'a, Option<Settlement>> {
            Box::pin(async move {
                assert!(!self.panics, "an errand panics");
                Some(Settlement::new(task.lease, Verdict::Done))
            })
        }
    }

    #[tokio::test]
    async fn an_errand_that_panics_leaves_its_task_to_the_next_holder() {
        let ((held, _context), waiting, task) =
            (held(), Waiting::default(), task("default", 1, Standing::Clear));
        for panics in [true, false] {
            let hold = Hold { held: &held, lease: task.lease, is_closed: waiting.closing() };
            let done = run_errand(&Unsure { panics }, &task, hold).await;
            let verdict = done.map(|settlement| settlement.verdict);
            assert_eq!(verdict, (!panics).then_some(Verdict::Done));
        }
    }

    #[tokio::test]
    async fn runners_that_have_ended_are_replaced() {
        let mut runners = JoinSet::new();
        hire(&mut runners, 1, || async { panic!("a runner ends") });
        hire(&mut runners, 3, || ready(()));
        tokio::task::yield_now().await;
        hire(&mut runners, 2, pending);
        assert!(runners.try_join_next().is_none() && runners.len() == 2);
        hire(&mut runners, 2, || async { panic!("there are enough") });
        assert_eq!(runners.len(), 2);
    }
}
