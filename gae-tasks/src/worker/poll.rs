//! The role that leases tasks: as many as can start soon, as early as possible.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ahead::{Ahead, Load, Rate};
use super::crew::{Crew, pause};
use super::drain::Shutdown;
use super::run;
use super::settle::Settler;
use super::suspects::Claim;
use super::turns::LastTurns;
use crate::backend::{Lease, Leased, LeasedTask, Settlement, Standing, Verdict};
use crate::log;
use crate::queue::QueueName;

/// A leased task that has not started after this time is released for other workers.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Leases tasks and passes them to runners until `shutdown` is ready; returns the runners, whose
/// attempts go on.
pub(super) async fn until_shutdown(
    crew: &Arc<Crew>,
    settler: &Settler,
    shutdown: &mut Shutdown,
) -> JoinSet<()> {
    let mut poll = Poller {
        crew,
        settler,
        runners: JoinSet::new(),
        wakeups: crew.pull.wakeups(),
        more_suspects: crew.suspects.room(),
        rate: Rate::default(),
        look: NextLook::Now,
        withheld: false,
        full: Vec::new(),
        last_turns: LastTurns::default(),
        held_back: false,
        urgent: false,
        isolating: false,
        failures: 0,
    };
    loop {
        poll.give_back_old();
        if let Some(wanted) = poll.wanted() {
            // Interrupted only when the grace time is over: the tasks in the answer would be leased
            // to nobody.
            _ = shutdown.lets(poll.lease(wanted)).await;
            tokio::select! {
                biased;
                () = shutdown.signalled() => return poll.runners,
                () = std::future::ready(()) => {}
            }
        } else {
            tokio::select! {
                biased;
                () = shutdown.signalled() => return poll.runners,
                () = poll.wait() => {}
            }
        }
    }
}

struct Poller<'a> {
    crew: &'a Arc<Crew>,
    settler: &'a Settler,
    runners: JoinSet<()>,
    wakeups: watch::Receiver<u64>,
    /// Changes when a suspect of any worker of the client has ended.
    more_suspects: watch::Receiver<()>,
    rate: Rate,
    look: NextLook,
    /// Whether there may be due tasks that the last lease did not ask for: tasks that only a free
    /// runner gets, or more suspects.
    withheld: bool,
    /// Queues of which the last lease may have left tasks behind, because of their bounds.
    full: Vec<QueueName>,
    last_turns: LastTurns,
    /// Whether the last lease left tasks of queues with limits only because no more runners were
    /// free.
    held_back: bool,
    /// Whether the last lease returned tasks that must start at once.
    urgent: bool,
    /// Whether an isolated task waits for the current suspects to end: no other suspects are leased
    /// before the isolated task.
    isolating: bool,
    failures: u32,
}

/// What to lease.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    ahead: Ahead,
    /// How many runners are free.
    free: usize,
    /// Whether the lease is for queues with limits only.
    is_reserved: bool,
}

/// When to ask the backend again: the earlier, the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NextLook {
    /// As soon as there is room: more tasks are due than were leased.
    Now,
    /// When a task is deferred, and at the latest at this moment of the monotonic clock.
    At(Duration),
}

impl Poller<'_> {
    async fn lease(&mut self, wanted: Wanted) {
        let (crew, Wanted { ahead, is_reserved, .. }) = (self.crew, wanted);
        if !is_reserved {
            self.wakeups.mark_unchanged();
            self.more_suspects.mark_unchanged();
        }
        let mut claim = crew.suspects.claim().await;
        if self.isolating && claim.in_company {
            claim.room = 0;
        }
        let request = self.request(wanted, &claim);
        let (asked, bounds) = (crew.clock.monotonic(), request.bounds.clone());
        let answer = crew.pull.lease(request).await;
        self.held_back = answer.as_ref().is_ok_and(|leased| leased.held_back);
        match answer {
            Ok(leased) => {
                self.failures = 0;
                self.last_turns.note(&leased.tasks, is_reserved);
                if is_reserved {
                    self.note_reserved(bounds, &leased);
                } else {
                    self.full = full(bounds, &leased.tasks);
                    self.look = self.next_look(ahead, &claim, &leased);
                }
                self.hand_over(leased, asked);
            }
            Err(error) => {
                let error = crate::outcome::chain(&error);
                log::say(|| tracing::error!(error, "cannot lease tasks, trying again"));
                self.look = self.look_within(pause(self.failures));
                self.failures = self.failures.saturating_add(1);
            }
        }
        crew.waiting.answered(is_reserved, self.held_back);
    }

    fn request(&self, wanted: Wanted, claim: &Claim<'_>) -> Lease {
        let (crew, Wanted { ahead, is_reserved, .. }) = (self.crew, wanted);
        let mut room = crew.room(ahead.total);
        (room.starting, room.suspects, room.in_company) =
            (ahead.starting, claim.room, claim.in_company);
        (room.startable, room.is_reserved) = (wanted.free.min(ahead.total), is_reserved);
        let (queues, routes) = (Arc::clone(&crew.queues), crew.routes());
        let mut request = Lease::new(crew.clock.now(), queues, routes, room, crew.lease);
        let last_turn = self.last_turns.of(is_reserved);
        (request.last_turn, request.bounds) = (last_turn, crew.waiting.bounds());
        request.ahead = crew.ahead;
        request
    }

    /// Notes the answer of a lease for queues with limits only; the others are looked at when they
    /// would have been.
    fn note_reserved(&mut self, bounds: HashMap<QueueName, usize>, leased: &Leased) {
        let full = full(bounds, &leased.tasks);
        self.full.retain(|queue| !full.contains(queue));
        self.full.extend(full);
        self.urgent |= leased.tasks.iter().any(|task| task.standing != Standing::Clear);
        self.isolating |= leased.isolated;
        if let Some(next) = leased.next {
            self.look = self.look.min(self.look_within(next));
        }
    }

    fn next_look(&mut self, ahead: Ahead, claim: &Claim<'_>, leased: &Leased) -> NextLook {
        let poll = self.crew.poll_interval;
        let watched = |task: &LeasedTask| task.standing != Standing::Clear;
        let suspects = leased.tasks.iter().filter(|task| task.standing.is_suspect()).count();
        self.urgent = leased.tasks.iter().any(watched);
        self.isolating = leased.isolated;
        self.withheld =
            withholds(ahead.starting, suspects, claim.room, claim.in_company, self.urgent);
        if leased.tasks.len() >= ahead.total {
            NextLook::Now
        } else {
            self.look_within(leased.next.map_or(poll, |next| next.min(poll)))
        }
    }

    fn look_within(&self, duration: Duration) -> NextLook {
        NextLook::At(self.crew.clock.monotonic().saturating_add(duration))
    }

    fn hand_over(&mut self, leased: Leased, asked: Duration) {
        let crew = self.crew;
        crew.held.add(&leased.tasks, asked);
        let wanted =
            crew.concurrency.min(crew.waiting.running() + crew.waiting.len() + leased.tasks.len());
        run::hire(&mut self.runners, wanted, || {
            run::runner(Arc::clone(crew), self.settler.sender())
        });
        crew.waiting.add(leased.tasks, crew.clock.monotonic());
    }

    async fn wait(&mut self) {
        let crew = self.crew;
        let within = match self.look {
            NextLook::At(moment) => moment.saturating_sub(crew.clock.monotonic()),
            NextLook::Now => crew.poll_interval,
        };
        // Tasks that wait too long are released in time, even while every runner is busy.
        let within = if crew.waiting.len() > 0 { within.min(MAX_WAIT) } else { within };
        tokio::select! {
            biased;
            changed = self.wakeups.changed() => {
                self.look = NextLook::Now;
                if changed.is_err() {
                    // The backend is gone with its sender; poll at the interval only.
                    crew.clock.sleep(crew.poll_interval).await;
                }
            }
            () = crew.waiting.moved.notified() => self.look_for_withheld(),
            // The sender lives as long as the crew.
            _ = self.more_suspects.changed() => self.look_for_withheld(),
            () = crew.clock.sleep(within) => self.look = NextLook::Now,
        }
    }

    fn look_for_withheld(&mut self) {
        let is_free = self.ahead().starting > 0;
        let has_room = |left: &HashMap<_, usize>| {
            self.full.iter().any(|queue| left.get(queue).is_some_and(|left| *left > 0))
        };
        if is_free && (self.withheld || has_room(&self.crew.waiting.bounds())) {
            self.look = NextLook::Now;
        }
    }

    /// What to lease now, if anything.
    fn wanted(&mut self) -> Option<Wanted> {
        let crew = self.crew;
        let (ahead, free) = (self.ahead(), crew.waiting.free());
        // Queues with limits have their turns in a lease that is for free runners only.
        let is_ahead = !(1..=free).contains(&ahead.total);
        let reserved = if self.held_back && is_ahead { crew.waiting.reserve() } else { 0 };
        if reserved > 0 {
            let ahead = Ahead { starting: reserved, total: reserved };
            return Some(Wanted { ahead, free: reserved, is_reserved: true });
        }
        let is_time = self.look == NextLook::Now || self.held_back && free > 0;
        let wanted = Wanted { ahead, free, is_reserved: false };
        (wanted.ahead.total > 0 && is_time).then_some(wanted)
    }

    /// The number of tasks to ask for.
    fn ahead(&mut self) -> Ahead {
        let Crew { waiting, .. } = &**self.crew;
        self.rate.update(waiting.ended(), self.crew.clock.monotonic());
        Ahead::under(Load {
            concurrency: self.crew.concurrency,
            running: waiting.running(),
            waiting: waiting.len(),
            has_urgent: waiting.has_urgent(),
            is_urgent: self.urgent,
            per_second: self.rate.per_second(),
        })
    }

    fn give_back_old(&self) {
        let crew = self.crew;
        let Some(limit) = crew.clock.monotonic().checked_sub(MAX_WAIT) else { return };
        if crew.waiting.oldest().is_some_and(|oldest| oldest < limit) {
            for task in crew.waiting.take_older_than(limit) {
                self.settler.send(Settlement::new(task.lease, Verdict::Release));
            }
        }
    }
}

/// The queues from which a lease with these tasks took as many as their bounds allowed.
fn full(bounds: HashMap<QueueName, usize>, tasks: &[LeasedTask]) -> Vec<QueueName> {
    let taken = |queue: &QueueName| tasks.iter().filter(|task| task.spec.queue == *queue).count();
    bounds
        .into_iter()
        .filter(|(queue, most)| taken(queue) >= *most)
        .map(|(queue, _)| queue)
        .collect()
}

/// Whether a lease may have left tasks behind that a free runner could start: it asked for no task
/// to start at once, returned as many suspects as there was room for, returned no suspect because
/// others are running, or returned tasks that must start at once.
const fn withholds(
    starting: usize,
    suspects: usize,
    room: usize,
    in_company: bool,
    is_urgent: bool,
) -> bool {
    starting == 0 || suspects >= room || in_company || is_urgent
}

#[cfg(test)]
mod tests {
    use super::super::waiting::tests::task;
    use super::*;

    #[test]
    fn a_queue_is_full_where_a_lease_took_all_that_its_bound_left() {
        let [bulk, other] = ["bulk", "other"].map(|name| QueueName::new(name).unwrap());
        let taken = [1, 2].map(|number| task("bulk", number, Standing::Clear));
        let bounds = |most| HashMap::from([(bulk.clone(), most), (other.clone(), 9)]);
        assert_eq!(
            (full(bounds(2), &taken), full(bounds(3), &taken)),
            (vec![bulk.clone()], vec![])
        );
        assert_eq!(full(bounds(0), &[]), vec![bulk]);
    }

    #[test]
    fn a_lease_that_had_room_for_everything_withholds_nothing() {
        assert!(!withholds(1, 0, 1, false, false));
        assert!(withholds(0, 0, 1, false, false), "no task was to start");
        assert!(
            withholds(1, 1, 1, false, false) && withholds(1, 2, 1, false, false),
            "there was no more room"
        );
        assert!(withholds(1, 0, 1, true, false) && withholds(1, 0, 1, false, true));
    }
}
