//! The role that leases: as much as can be started soon, as soon as it may be there.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::drain::Shutdown;
use super::settle::Settler;
use super::suspects::Claim;
use super::{Crew, pause, run};
use crate::backend::{Lease, Leased, LeasedTask, Settlement, Standing, Verdict};
use crate::log;

/// Most tasks that are leased ahead of a free runner.
const MAX_AHEAD: usize = 1000;

/// A leased task that has not started after this goes back, for others to take.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Over how long the rate of ended attempts is averaged.
const RATE_WINDOW: Duration = Duration::from_millis(500);

/// Leases and hands to runners until `shutdown` is ready; gives the runners, whose attempts go on.
pub(super) async fn until_shutdown(crew: &Arc<Crew>, settler: &Settler, shutdown: &mut Shutdown) -> JoinSet<()> {
    let mut poll = Poller {
        crew,
        settler,
        runners: JoinSet::new(),
        wakeups: crew.pull.wakeups(),
        more_suspects: crew.suspects.room(),
        rate: Rate::default(),
        look: Look::Now,
        withheld: false,
        urgent: false,
        isolating: false,
        failures: 0,
    };
    loop {
        poll.give_back_old();
        let room = poll.room();
        if room.total > 0 && poll.look == Look::Now {
            // Interrupted only when all time is over: the tasks in its answer would be leased to nobody.
            _ = shutdown.lets(poll.lease(room)).await;
            tokio::select! {
                biased;
                () = shutdown.told() => return poll.runners,
                () = std::future::ready(()) => {}
            }
        } else {
            tokio::select! {
                biased;
                () = shutdown.told() => return poll.runners,
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
    look: Look,
    /// Whether there may be tasks that were not asked for: those that are only given to a free runner, or more suspects.
    withheld: bool,
    /// Whether the last lease gave tasks that must start at once.
    urgent: bool,
    /// Whether an isolated task waits for the end of the suspects at hand: no others are leased before it.
    isolating: bool,
    failures: u32,
}

/// When it is worth asking the backend again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// As soon as there is room: more is due than was taken.
    Now,
    /// When something is deferred, at this moment of the monotonic clock at the latest.
    At(Duration),
}

impl Poller<'_> {
    async fn lease(&mut self, room: Room) {
        let crew = self.crew;
        self.wakeups.mark_unchanged();
        self.more_suspects.mark_unchanged();
        let mut claim = crew.suspects.claim().await;
        if self.isolating && claim.in_company {
            claim.room = 0;
        }
        let request = Lease {
            now: crew.clock.now(),
            queues: Arc::clone(&crew.queues),
            routes: crew.routes.clone(),
            limit: room.total,
            starting: room.starting,
            suspects: claim.room,
            in_company: claim.in_company,
            duration: crew.lease,
        };
        let asked = crew.clock.monotonic();
        match crew.pull.lease(request).await {
            Ok(leased) => {
                self.failures = 0;
                self.look = self.next_look(room, &claim, &leased);
                self.hand_over(leased, asked);
            }
            Err(error) => {
                let error = crate::outcome::chain(&error);
                log::say(|| tracing::error!(error, "cannot lease tasks, trying again"));
                self.look = self.look_within(pause(self.failures));
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    fn next_look(&mut self, room: Room, claim: &Claim<'_>, leased: &Leased) -> Look {
        let poll = self.crew.poll_interval;
        let watched = |task: &LeasedTask| task.standing != Standing::Clear;
        let suspects = leased.tasks.iter().filter(|task| task.standing.is_suspect()).count();
        self.urgent = leased.tasks.iter().any(watched);
        self.isolating = leased.isolated;
        self.withheld = room.starting == 0 || suspects >= claim.room || claim.in_company || self.urgent;
        if leased.tasks.len() >= room.total {
            Look::Now
        } else {
            self.look_within(leased.next.map_or(poll, |next| next.min(poll)))
        }
    }

    fn look_within(&self, duration: Duration) -> Look {
        Look::At(self.crew.clock.monotonic().saturating_add(duration))
    }

    fn hand_over(&mut self, leased: Leased, asked: Duration) {
        if leased.tasks.is_empty() {
            return;
        }
        let crew = self.crew;
        crew.held.add(&leased.tasks, asked);
        let wanted = crew.concurrency.min(crew.waiting.running() + crew.waiting.len() + leased.tasks.len());
        run::hire(&mut self.runners, wanted, || run::runner(Arc::clone(crew), self.settler.sender()));
        crew.waiting.add(leased.tasks, crew.clock.monotonic());
    }

    async fn wait(&mut self) {
        let crew = self.crew;
        let within = match self.look {
            Look::At(moment) => moment.saturating_sub(crew.clock.monotonic()),
            Look::Now => crew.poll_interval,
        };
        // What waits too long is given back in time, even while every runner is busy.
        let within = if crew.waiting.len() > 0 { within.min(MAX_WAIT) } else { within };
        tokio::select! {
            biased;
            changed = self.wakeups.changed() => {
                self.look = Look::Now;
                if changed.is_err() {
                    // The backend is gone with its sender; it is only asked now and then.
                    crew.clock.sleep(crew.poll_interval).await;
                }
            }
            () = crew.waiting.moved.notified() => self.look_for_withheld(),
            // Its sender is there as long as the crew is.
            _ = self.more_suspects.changed() => self.look_for_withheld(),
            () = crew.clock.sleep(within) => self.look = Look::Now,
        }
    }

    fn look_for_withheld(&mut self) {
        if self.withheld && self.room().starting > 0 {
            self.look = Look::Now;
        }
    }

    /// How many tasks to ask for. Ahead of free runners, only what starts within about a second at the rate at which
    /// attempts have ended lately; and not before half of that is used up, so that leases come in batches.
    fn room(&mut self) -> Room {
        let crew = self.crew;
        self.rate.update(crew.waiting.ended(), crew.clock.monotonic());
        let outstanding = crew.waiting.running() + crew.waiting.len();
        let free = crew.concurrency.saturating_sub(outstanding);
        // While tasks that must start at once are due, nothing is leased ahead, or they would never find a free runner;
        // and to learn of them one is asked for even if no runner is free just now: it is the next to start.
        let ahead = if self.urgent { 0 } else { self.rate.per_second().min(MAX_AHEAD) };
        let starting = if free == 0 && ahead > 0 && !crew.waiting.has_urgent() { 1 } else { free };
        let target = crew.concurrency + ahead;
        let worth_it = free > 0 || outstanding < crew.concurrency + ahead / 2;
        let enough = ahead == 0 || crew.waiting.len() <= ahead / 2;
        let total = if worth_it && enough { target.saturating_sub(outstanding) } else { 0 };
        Room { starting, total }
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

/// How many tasks may be leased.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Of them, how many start at once.
    starting: usize,
    total: usize,
}

/// How fast attempts end, averaged over the last moments.
#[derive(Debug, Default)]
struct Rate {
    ended: u64,
    at: Duration,
    per_second: f64,
}

impl Rate {
    fn update(&mut self, ended: u64, now: Duration) {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        if elapsed < 0.001 {
            return;
        }
        let latest = (ended - self.ended) as f64 / elapsed;
        let weight = 1.0 - (-elapsed / RATE_WINDOW.as_secs_f64()).exp();
        self.per_second += weight * (latest - self.per_second);
        (self.ended, self.at) = (ended, now);
    }

    fn per_second(&self) -> usize {
        self.per_second as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_what_happened_lately() {
        let mut rate = Rate::default();
        for ms in 1..=2000 {
            rate.update(ms * 10, Duration::from_millis(ms));
        }
        assert!((9_000..=10_000).contains(&rate.per_second()), "{rate:?}");
        rate.update(20_000, Duration::from_secs(10));
        assert_eq!(rate.per_second(), 0, "nothing has ended for 8 seconds");
    }
}
