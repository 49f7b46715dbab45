//! Free runners: tasks that start at once are leased for no more than these.

use super::Waiting;

impl Waiting {
    /// The number of runners that are free, and for which no task waits.
    pub(in crate::worker) fn free(&self) -> usize {
        // Runners take tasks under this lock, so there are no fewer free ones than this says.
        let line = self.lock();
        self.concurrency.saturating_sub(self.running()).saturating_sub(line.len)
    }

    /// Keeps a free runner for tasks of queues with limits, if it is the turn of these queues.
    /// Returns how many runners are free for them; zero if it is not their turn.
    pub(in crate::worker) fn reserve(&self) -> usize {
        let mut line = self.lock();
        let free = self.concurrency.saturating_sub(self.running());
        let queues = line.queues.len();
        if free <= line.urgent.len() || !line.reserve.keep(queues) {
            return 0;
        }
        free.saturating_sub(line.len).max(1)
    }

    /// Records the answer of a lease, after its tasks were added: whether the lease was for queues
    /// with limits only, and whether more of their tasks are due.
    pub(in crate::worker) fn answered(&self, is_reserved: bool, held_back: bool) {
        if self.lock().reserve.answered(is_reserved, held_back) {
            self.arrived.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::super::tests::task;
    use super::*;
    use crate::backend::{LeasedTask, Standing};
    use crate::queue::QueueName;

    const NOW: Duration = Duration::from_secs(10);

    fn waiting(concurrency: usize) -> Waiting {
        Waiting::new(HashMap::new(), concurrency)
    }

    fn ahead(numbers: std::ops::Range<u8>) -> Vec<LeasedTask> {
        numbers.map(|number| task("bulk", number, Standing::Clear)).collect()
    }

    fn at_once(number: u8) -> Vec<LeasedTask> {
        vec![LeasedTask { at_once: true, ..task("limited", number, Standing::Clear) }]
    }

    /// The number of the task that a free runner takes.
    fn start(waiting: &Waiting) -> Option<u8> {
        waiting.start_next().map(|task| task.lease.id.as_bytes()[0])
    }

    #[test]
    fn a_runner_is_free_if_no_task_waits_for_it() {
        let waiting = waiting(3);
        assert_eq!(waiting.free(), 3);
        waiting.add(ahead(0..2), NOW);
        assert_eq!((waiting.free(), start(&waiting), waiting.free()), (1, Some(0), 1));
        waiting.add(ahead(2..9), NOW);
        assert_eq!(waiting.free(), 0);
    }

    #[test]
    fn a_task_that_was_leased_to_start_at_once_goes_before_those_that_were_leased_ahead() {
        let waiting = waiting(2);
        waiting.add(ahead(0..2), NOW);
        waiting.add(at_once(9), NOW);
        assert!(waiting.has_urgent());
        assert_eq!([start(&waiting), start(&waiting)], [Some(9), Some(0)]);
    }

    #[test]
    fn the_last_free_runner_is_kept_while_tasks_of_queues_with_limits_wait() {
        let waiting = waiting(2);
        waiting.add(ahead(0..5), NOW);
        assert_eq!((waiting.reserve(), start(&waiting)), (0, Some(0)), "nothing waits");
        waiting.answered(false, true);
        assert_eq!((start(&waiting), waiting.reserve()), (None, 1));
        waiting.add(at_once(9), NOW);
        waiting.answered(true, true);
        assert_eq!((start(&waiting), waiting.reserve()), (Some(9), 0), "no runner is free");
        waiting.end(&QueueName::new("bulk").unwrap());
        assert_eq!(start(&waiting), Some(1), "it is the turn of the other queue");
        waiting.end(&QueueName::new("bulk").unwrap());
        assert_eq!((start(&waiting), waiting.reserve()), (None, 1));
        waiting.answered(true, false);
        assert_eq!((waiting.reserve(), start(&waiting)), (0, Some(2)), "nothing waits any more");
    }

    #[test]
    fn a_runner_that_is_not_the_last_free_one_takes_what_waits() {
        let waiting = waiting(3);
        waiting.answered(false, true);
        waiting.add(ahead(0..5), NOW);
        assert_eq!(waiting.reserve(), 1);
        assert_eq!([start(&waiting), start(&waiting), start(&waiting)], [Some(0), Some(1), None]);
    }

    #[test]
    fn a_task_that_starts_next_has_the_free_runner() {
        let waiting = waiting(1);
        waiting.answered(false, true);
        waiting.add(vec![task("bulk", 1, Standing::Marked)], NOW);
        assert_eq!((waiting.reserve(), start(&waiting)), (0, Some(1)));
    }

    #[tokio::test]
    async fn a_runner_that_is_kept_tells_the_poller_and_is_told_when_it_may_go_on() {
        let waiting = waiting(1);
        waiting.answered(false, true);
        waiting.add(ahead(0..1), NOW);
        let runner = waiting.next();
        let poller = async {
            waiting.moved.notified().await;
            assert_eq!(waiting.reserve(), 1);
            waiting.answered(true, false);
        };
        let (task, ()) = tokio::join!(runner, poller);
        assert_eq!(task.lease.id.as_bytes()[0], 0);
    }
}
