//! Leases due tasks, by the turns of their queues.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::convert::Infallible;

use super::{Held, Store, Stored};
use crate::backend::gate::Gate;
use crate::backend::haul::{Haul, turn_length};
use crate::backend::memory::order::{Lane, Place, Source};
use crate::backend::readers::{Answer, Question};
use crate::backend::{Lease, LeaseRef, LeaseToken, Leased, LeasedTask, NewTask, Standing};
use crate::queue::QueueName;
use crate::task::TaskId;
use crate::time::Timestamp;

impl Store {
    /// Leases due tasks.
    ///
    /// # Errors
    /// The routes that the worker must be asked about first; `answers` has those that it was.
    pub(in crate::backend::memory) fn lease(
        &mut self,
        request: &Lease,
        answers: &[Answer],
        now: Timestamp,
    ) -> Result<Leased, Vec<Question>> {
        self.readers.learn(&request.routes, answers);
        let queues = self.readable(request)?;
        let until = now.plus(request.ahead);
        let mut haul = Haul::new(request);
        self.limit(&queues, &mut haul, until, now);
        let mut isolated = false;
        for standing in [Standing::Isolated, Standing::Suspect, Standing::Marked] {
            let due = |source| self.order.due(source, standing, until, usize::MAX);
            let mut due: Vec<_> = queues.iter().flat_map(due).collect();
            due.sort_unstable();
            isolated |=
                standing == Standing::Isolated && request.room.in_company && !due.is_empty();
            self.take_each(due, request, &mut haul, standing, now);
        }
        self.take_turns(&queues, request, &mut haul, now);
        self.keep_buckets(&haul);
        let is_left = |source: &Source| {
            haul.holds_back(&source.queue) && self.is_due(source, until)
                || haul.holds_back_forced(&source.queue) && self.is_due(&source.forced(), until)
        };
        let held_back = queues.iter().any(is_left);
        let next = queues.iter().filter_map(|source| self.order.next(source, until)).min();
        Ok(Leased {
            isolated,
            held_back,
            ..haul.leased(next.map(|next| next.since(until)), |queue| {
                self.config(queue).own_retry().cloned()
            })
        })
    }

    /// Returns the queues of `lease` that have waiting tasks that the worker can run, in the order
    /// of turns. Of a paused queue, only tasks that were made due by hand are among them.
    ///
    /// # Errors
    /// The routes that the worker must be asked about first.
    fn readable(&self, lease: &Lease) -> Result<Vec<Source>, Vec<Question>> {
        let Self { order, queues, readers, schemas, places, .. } = self;
        let is_paused = |queue: &QueueName| queues.get(queue).is_some_and(|queue| queue.paused);
        let (mut sources, mut questions) = (Vec::new(), Vec::new());
        for queue in order.queues(lease) {
            let mut read = |lane: &Lane| {
                let Lane { route, refusers, forced, .. } = lane;
                let schema = || Ok::<_, Infallible>(schemas.get(&route.shape()).cloned());
                let Ok(known) = readers.reader(&lease.routes, route, schema);
                let reader = known.unwrap_or_else(|question| {
                    questions.push(question);
                    None
                });
                Some((lane.clone(), refusers.let_at_once(reader?, *forced)))
            };
            let meant = order.lanes(queue).filter(|lane| lane.forced || !is_paused(queue));
            let lanes = meant.filter_map(&mut read).collect();
            let step = self.config(queue).priority_step();
            sources.push(Source { queue: queue.clone(), lanes, step });
        }
        sources.sort_unstable_by_key(|source| places.get(&source.queue));
        if questions.is_empty() { Ok(sources) } else { Err(questions) }
    }

    /// Applies the limits of the queues that have tasks due.
    fn limit(&self, queues: &[Source], haul: &mut Haul, until: Timestamp, now: Timestamp) {
        for source in queues {
            if haul.obeys_limits()
                && let Some(gate) = self.gate(&source.queue, now)
                && self.is_due(source, until)
            {
                haul.limit(source.queue.clone(), gate);
            }
        }
    }

    /// Whether a queue has a task due.
    fn is_due(&self, source: &Source, until: Timestamp) -> bool {
        let is_due = |standing| !self.order.due(source, standing, until, 1).is_empty();
        Standing::ALL.into_iter().any(is_due)
    }

    /// Leases clear tasks by the turns of their queues, until there is no more room or no task is
    /// due.
    fn take_turns(&mut self, queues: &[Source], request: &Lease, haul: &mut Haul, now: Timestamp) {
        let due = |store: &Self, source: &Source, limit| {
            store.order.due(source, Standing::Clear, now.plus(request.ahead), limit)
        };
        let is_due = |source: &&Source| {
            let (meant, most) = given(source, haul);
            most > 0 && !due(self, &meant, 1).is_empty()
        };
        let queues: Vec<_> = queues.iter().filter(is_due).collect();
        let length = turn_length(haul.room(Standing::Clear), queues.len());
        let last = request.last_turn.as_ref().and_then(|last| self.places.get(last));
        let next = queues.partition_point(|source| {
            last.is_some_and(|last| self.places.get(&source.queue) <= Some(last))
        });
        let mut line: VecDeque<_> = queues.into();
        line.rotate_left(next);
        while let Some(source) = line.pop_front() {
            let (meant, most) = given(source, haul);
            let most = most.min(length).min(haul.room(Standing::Clear));
            let due = due(self, &meant, most);
            if due.len() >= most && most > 0 {
                line.push_back(source);
            }
            self.take_each(due, request, haul, Standing::Clear, now);
        }
    }

    /// Leases these tasks, as far as there is room.
    fn take_each(
        &mut self,
        due: Vec<Place>,
        request: &Lease,
        haul: &mut Haul,
        standing: Standing,
        now: Timestamp,
    ) {
        for (.., id) in due {
            let may_give = |stored: &Stored| room_beside(stored, haul) > 0;
            if haul.room(standing) > 0
                && self.tasks.get(&id).is_some_and(may_give)
                && let Some(task) = self.take(id, request, haul, now)
            {
                haul.add(task);
            }
        }
    }

    fn take(
        &mut self,
        id: TaskId,
        request: &Lease,
        haul: &Haul,
        now: Timestamp,
    ) -> Option<LeasedTask> {
        self.unwait(id);
        let stored = self.tasks.get_mut(&id)?;
        let (token, standing, duration) =
            (LeaseToken::generate(), stored.facts.standing(), request.duration);
        let alone = request.room.isolates(standing);
        let gate = haul.gate(&stored.task.spec.queue);
        let is_counted = gate.is_some_and(Gate::is_bounded);
        let is_paid = gate.is_some_and(Gate::has_rate) && !stored.facts.forced;
        let (cancelled, expires) = (false, now.plus(duration));
        stored.lease =
            Some(Held { token, alone, cancelled, expires, duration, is_counted, is_paid });
        let NewTask { spec, payload, .. } = stored.task.clone();
        let mut task =
            LeasedTask::new(LeaseRef::new(id, token), spec, payload, stored.facts.wait.due());
        (task.attempts, task.first_attempt) = (stored.facts.attempts, stored.facts.first_attempt);
        (task.standing, task.alone) = (standing, alone);
        (task.lost_leases, task.forced) = (stored.facts.lost_leases, stored.facts.forced);
        if is_counted {
            self.count_in(&task.spec.queue);
        }
        Some(task)
    }
}

/// Returns how many more tasks of the task's queue may be leased, this one included.
fn room_beside(stored: &Stored, haul: &Haul) -> usize {
    let queue = &stored.task.spec.queue;
    if stored.facts.forced { haul.room_of_forced(queue) } else { haul.room_of(queue) }
}

/// Returns the lanes of a queue that may give tasks, and how many tasks: all lanes, or if the
/// limits of the queue forbid that, those whose tasks were made due by hand.
fn given<'a>(source: &'a Source, haul: &Haul) -> (Cow<'a, Source>, usize) {
    match haul.room_of(&source.queue) {
        0 => (Cow::Owned(source.forced()), haul.room_of_forced(&source.queue)),
        most => (Cow::Borrowed(source), most),
    }
}
