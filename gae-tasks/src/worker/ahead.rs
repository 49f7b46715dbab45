//! The number of tasks that a worker leases ahead of its free runners: tasks that start soon, at
//! the rate at which attempts end.

use std::time::Duration;

/// The most tasks that are leased ahead of a free runner. If many queues take turns, their tasks
/// share pages of a database: the more tasks end together, the fewer pages are written.
const MOST: usize = 2000;

/// The time within which a task that is leased ahead should start. Tasks of other queues that
/// become due meanwhile wait this long for the next lease, so the time is short. Each lease costs a
/// part of a millisecond, so the time is not shorter.
const SOON: Duration = Duration::from_millis(100);

/// The time over which the rate of ended attempts is averaged.
const WINDOW: Duration = Duration::from_millis(500);

/// The number of tasks to lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ahead {
    /// How many of these tasks start at once.
    pub(super) starting: usize,
    pub(super) total: usize,
}

/// The load of a worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) concurrency: usize,
    /// Attempts that are running.
    pub(super) running: usize,
    /// Leased tasks that have not started.
    pub(super) waiting: usize,
    /// Whether one of the waiting tasks must start at once.
    pub(super) has_urgent: bool,
    /// Whether more tasks that must start at once are due.
    pub(super) is_urgent: bool,
    /// The number of attempts that end per second.
    pub(super) per_second: usize,
}

impl Ahead {
    /// The number of tasks to lease under this load. Ahead of free runners, only tasks that start
    /// soon are leased, and only after half of the previous ones have started, so that leases come
    /// in batches.
    pub(super) fn under(load: Load) -> Self {
        let Load { concurrency, waiting, .. } = load;
        let outstanding = load.running + waiting;
        let free = concurrency.saturating_sub(outstanding);
        // While tasks that must start at once are due, no task is leased ahead; otherwise these
        // tasks would never find a free runner. One such task is requested even if no runner is
        // free at the moment: it starts next.
        let soon = load.per_second.saturating_mul(SOON.as_millis() as usize) / 1000;
        let ahead = if load.is_urgent { 0 } else { soon.min(MOST) };
        let starting = if free == 0 && ahead > 0 && !load.has_urgent { 1 } else { free };
        let is_half_used = ahead == 0 || waiting <= ahead / 2;
        let total =
            if is_half_used { (concurrency + ahead).saturating_sub(outstanding) } else { 0 };
        Self { starting, total }
    }
}

/// The rate at which attempts end, averaged over the last moments.
#[derive(Debug, Default)]
pub(super) struct Rate {
    ended: u64,
    at: Duration,
    per_second: f64,
}

impl Rate {
    /// Records that `ended` attempts have ended by `now`.
    pub(super) fn update(&mut self, ended: u64, now: Duration) {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        if elapsed < 0.001 {
            return;
        }
        let latest = (ended - self.ended) as f64 / elapsed;
        let weight = 1.0 - (-elapsed / WINDOW.as_secs_f64()).exp();
        self.per_second += weight * (latest - self.per_second);
        (self.ended, self.at) = (ended, now);
    }

    pub(super) fn per_second(&self) -> usize {
        self.per_second as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IDLE: Load = Load {
        concurrency: 10,
        running: 0,
        waiting: 0,
        has_urgent: false,
        is_urgent: false,
        per_second: 0,
    };

    fn under(load: Load) -> (usize, usize) {
        let Ahead { starting, total } = Ahead::under(load);
        (starting, total)
    }

    #[test]
    fn a_worker_that_has_ended_nothing_leases_for_its_free_runners() {
        assert_eq!(under(IDLE), (10, 10));
        assert_eq!(under(Load { running: 3, waiting: 2, ..IDLE }), (5, 5));
        assert_eq!(under(Load { running: 10, ..IDLE }), (0, 0));
    }

    #[test]
    fn what_starts_within_a_tenth_of_a_second_is_leased_ahead() {
        let busy = Load { running: 10, per_second: 1_000, ..IDLE };
        assert_eq!(under(busy), (1, 100));
        assert_eq!(under(Load { waiting: 50, ..busy }), (1, 50));
        assert_eq!(
            under(Load { waiting: 51, ..busy }),
            (1, 0),
            "half of the tasks have not started"
        );
        assert_eq!(under(Load { per_second: 1_000_000, ..busy }), (1, 2_000), "there is a limit");
        assert_eq!(under(Load { per_second: 9, ..busy }), (0, 0), "no attempt ends so soon");
    }

    #[test]
    fn nothing_is_leased_ahead_while_tasks_are_due_that_must_start_at_once() {
        let busy = Load { running: 9, per_second: 1_000, is_urgent: true, ..IDLE };
        assert_eq!(under(busy), (1, 1));
        assert_eq!(under(Load { running: 10, ..busy }), (0, 0));
    }

    #[test]
    fn one_that_waits_to_start_at_once_is_enough() {
        let busy = Load { running: 10, per_second: 1_000, waiting: 1, has_urgent: true, ..IDLE };
        assert_eq!(under(busy), (0, 99));
    }

    proptest! {
        #[test]
        fn no_more_is_leased_than_can_start_soon(
            concurrency in 1..2_000_usize, running in 0..2_000_usize, waiting in 0..2_000_usize,
            per_second in 0..100_000_usize,
            has_urgent in any::<bool>(), is_urgent in any::<bool>(),
        ) {
            let load = Load { concurrency, running, waiting, has_urgent, is_urgent, per_second };
            let Ahead { starting, total } = Ahead::under(load);
            let (outstanding, soon) = (running + waiting, (per_second / 10).min(MOST));
            prop_assert!(total == 0 || outstanding + total <= concurrency + soon);
            prop_assert!(starting <= concurrency.saturating_sub(outstanding).max(1));
            // A runner is never free while no task is leased for it.
            prop_assert!(total > 0 || outstanding >= concurrency || waiting > 0);
        }
    }

    #[test]
    fn the_rate_follows_what_happened_lately() {
        let mut rate = Rate::default();
        for ms in 1..=2000 {
            rate.update(ms * 10, Duration::from_millis(ms));
        }
        assert!((9_700..=10_000).contains(&rate.per_second()), "{rate:?}");
        rate.update(20_000, Duration::from_secs(10));
        assert_eq!(rate.per_second(), 0, "no attempt has ended for 8 seconds");
    }

    #[test]
    fn the_rate_is_about_that_of_half_a_second() {
        let mut rate = Rate::default();
        rate.update(500, Duration::from_millis(500));
        assert!((620..=640).contains(&rate.per_second()), "{rate:?}");
        rate.update(10_000, Duration::from_micros(500_900));
        assert!(
            (620..=640).contains(&rate.per_second()),
            "less than a millisecond is too short to measure: {rate:?}"
        );
        rate.update(510, Duration::from_millis(501));
        assert!(rate.per_second() > 640, "{rate:?}");
    }
}
