//! Ends leases: records outcomes, recovers what was lost, and forgets what is old.

use std::time::Duration;

use super::{Held, Store, Stored};
use crate::backend::lifecycle::{self, Change, Ended, Holder, Loss, Rules};
use crate::backend::{
    ForgottenTask, HeldLease, LeaseRef, Settled, Settlement, Sweep, Swept, TaskState,
};
use crate::task::TaskId;
use crate::time::Timestamp;

impl Store {
    /// Returns the task of a lease that is held.
    fn leased(&mut self, lease: LeaseRef) -> Option<&mut Stored> {
        let holds = |stored: &&mut Stored| {
            stored.lease.as_ref().is_some_and(|held| held.token == lease.token)
        };
        self.tasks.get_mut(&lease.id).filter(holds)
    }

    pub(in crate::backend::memory) fn extend(
        &mut self,
        lease: LeaseRef,
        now: Timestamp,
        duration: Duration,
    ) -> bool {
        let held = self.leased(lease).and_then(|stored| stored.lease.as_mut());
        held.map(|held| (held.expires, held.duration) = (now.plus(duration), duration)).is_some()
    }

    pub(in crate::backend::memory) fn settle(
        &mut self,
        settlement: Settlement,
        now: Timestamp,
    ) -> Settled {
        // No transaction of an application completes tasks in memory.
        let Settlement { lease, started, verdict, backoff, rolled_back: _, keeps_payload: _ } =
            settlement;
        let Some(stored) = self.leased(lease) else { return Settled::LeaseLost };
        let cancelled = stored.lease.as_ref().is_some_and(|held| held.cancelled);
        let ended = Ended { verdict: &verdict, began: started, backoff, cancelled };
        let facts = stored.facts;
        let is_paid = stored.lease.as_ref().is_some_and(|held| held.is_paid);
        if is_paid && !verdict.is_of_an_attempt() {
            let queue = stored.task.spec.queue.clone();
            self.give_back(&queue, now);
        }
        let rules = self.rules(lease.id);
        self.apply(lease.id, lifecycle::settle(facts, ended, rules.as_ref(), now), now)
    }

    /// Returns the limits on the attempts of a stored task.
    fn rules(&self, id: TaskId) -> Option<Rules> {
        let stored = self.tasks.get(&id).filter(|stored| !stored.is_newer())?;
        let rules =
            Rules::of(&self.config(&stored.task.spec.queue), stored.task.spec.retry.clone());
        Some(rules.jittered(id))
    }

    /// Ends the lease of a task with a change.
    fn apply(&mut self, id: TaskId, change: Change<'_>, now: Timestamp) -> Settled {
        if change == Change::Over {
            self.remove(id, now);
            return Settled::Done;
        }
        let Some(stored) = self.tasks.get_mut(&id) else { return Settled::LeaseLost };
        let counted = stored.lease.take().filter(|held| held.is_counted);
        self.cancelled.remove(&id);
        let counted = counted.map(|held| (stored.task.spec.queue.clone(), held));
        if let Change::To { facts, error } = change {
            stored.facts = facts;
            _ = error.map(|error| stored.keep_error(&error, now));
        }
        let settled = stored
            .facts
            .died
            .map_or(Settled::Scheduled(stored.facts.wait.due()), |_| Settled::Dead);
        if let Some((queue, held)) = counted {
            self.count_out(&queue, &held);
        }
        self.wait(id);
        settled
    }

    pub(in crate::backend::memory) fn sweep(&mut self, request: &Sweep, now: Timestamp) -> Swept {
        let mut swept = Swept::default();
        let is_waiting = |stored: &&Stored| stored.state() == TaskState::Scheduled;
        let long = self.tasks.values().filter(is_waiting);
        let long = long
            .filter_map(|stored| Some((stored.task.spec.id, stored.facts.wait.shortened(now)?)));
        for (id, wait) in long.take(request.limit).collect::<Vec<_>>() {
            self.unwait(id);
            _ = self.tasks.get_mut(&id).map(|stored| stored.facts.wait = wait);
            self.wait(id);
            swept.shortened += 1;
        }
        for lost in request.lost.iter().take(request.limit) {
            if let Some(settled) = self.recover(lost, now) {
                swept.recovered += 1;
                swept.died += u64::from(settled == Settled::Dead);
            }
        }
        let old = |stored: &&Stored| {
            let config = self.config(&stored.task.spec.queue);
            !stored.is_newer()
                && stored.facts.died.is_some_and(|died| lifecycle::is_forgotten(died, &config, now))
        };
        let old: Vec<_> = self
            .tasks
            .values()
            .filter(old)
            .take(request.limit)
            .map(|stored| stored.task.spec.id)
            .collect();
        for id in old {
            let attributes = self.remove(id, now).and_then(|stored| stored.task.spec.attributes);
            swept.forgotten_tasks.push(ForgottenTask::new(id, attributes));
            swept.forgotten += 1;
        }
        let names = self.forget_names(request.limit, now);
        let most = request.limit as u64;
        swept.more = [swept.recovered, swept.forgotten, names, swept.shortened]
            .iter()
            .any(|done| *done >= most);
        swept.forgotten += names;
        swept.held = self.tasks.values().filter_map(Stored::held).collect();
        swept
    }

    /// Recovers a lease, if it is unchanged; returns what became of its task.
    fn recover(&mut self, lost: &HeldLease, now: Timestamp) -> Option<Settled> {
        let id = lost.lease.id;
        let stored = self.tasks.get(&id).filter(|stored| stored.held() == Some(*lost))?;
        let Held { alone, cancelled, .. } = *stored.lease.as_ref()?;
        let loss = Loss { alone, cancelled };
        let change = lifecycle::lose(stored.facts, loss, self.rules(id).as_ref(), now);
        Some(self.apply(id, change, now))
    }

    /// Deletes at most `limit` tombstones that have expired; returns how many.
    fn forget_names(&mut self, limit: usize, now: Timestamp) -> u64 {
        let mut forgotten = 0;
        let mut is_kept = |holder: &Holder| {
            let over = matches!(holder, Holder::Tombstone { until, .. } if *until <= now)
                && forgotten < limit;
            forgotten += usize::from(over);
            !over
        };
        self.names.retain(|_, holder| is_kept(holder));
        self.keys.retain(|_, holder| is_kept(holder));
        forgotten as u64
    }
}
