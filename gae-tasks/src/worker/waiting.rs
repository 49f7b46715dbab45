//! Leased tasks that wait for a runner; their queues take turns.

mod free;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::reserve::Reserve;
use crate::backend::{LeasedTask, Standing};
use crate::queue::QueueName;

/// Leased tasks that wait for a runner.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    line: Mutex<Line>,
    arrived: Notify,
    /// Notified when a runner takes a task or ends an attempt: there may be room for more.
    pub(super) moved: Notify,
    running: AtomicUsize,
    ended: AtomicU64,
    /// Whether the worker is shutting down.
    is_closed: watch::Sender<bool>,
    /// The most tasks that may be leased at the same time, for some queues.
    bounds: HashMap<QueueName, usize>,
    /// The most attempts that run at the same time.
    concurrency: usize,
}

/// A task, and when it was leased.
type Entry = (Duration, LeasedTask);

#[derive(Debug, Default)]
struct Line {
    /// Tasks that must start at once, before all others.
    urgent: VecDeque<Entry>,
    /// The other tasks, by queue; a queue without tasks has no entry.
    queues: BTreeMap<QueueName, VecDeque<Entry>>,
    /// The queue that had the last turn.
    last_turn: Option<QueueName>,
    len: usize,
    /// The number of tasks of bounded queues that wait or run.
    outstanding: HashMap<QueueName, usize>,
    /// Whether the last free runner waits for a task that is not leased yet.
    reserve: Reserve,
}

impl Waiting {
    /// Creates an empty line for a worker with these bounds and so many runners.
    pub(super) fn new(bounds: HashMap<QueueName, usize>, concurrency: usize) -> Self {
        Self { bounds, concurrency, ..Self::default() }
    }

    /// Adds tasks that were leased at `now`.
    pub(super) fn add(&self, tasks: Vec<LeasedTask>, now: Duration) {
        let mut line = self.lock();
        for task in tasks {
            if self.bounds.contains_key(&task.spec.queue) {
                *line.outstanding.entry(task.spec.queue.clone()).or_default() += 1;
            }
            line.len += 1;
            if task.at_once || task.standing != Standing::Clear {
                line.urgent.push_back((now, task));
            } else if let Some(queue) = line.queues.get_mut(&task.spec.queue) {
                queue.push_back((now, task));
            } else {
                line.queues.insert(task.spec.queue.clone(), VecDeque::from([(now, task)]));
            }
            self.arrived.notify_one();
        }
    }

    /// Takes out the tasks that were leased before `limit`.
    pub(super) fn take_older_than(&self, limit: Duration) -> Vec<LeasedTask> {
        let taken = self.lock().take(|since| since < limit);
        taken.iter().for_each(|task| self.count_out(&task.spec.queue));
        taken
    }

    /// Takes out all tasks.
    pub(super) fn take_all(&self) -> Vec<LeasedTask> {
        self.lock().take(|_| true)
    }

    /// When the task was leased that has waited longest.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let line = self.lock();
        // Each line is in the order in which it was filled.
        let queues = line.queues.values().chain([&line.urgent]);
        queues.filter_map(|queue| queue.front()).map(|(since, _)| *since).min()
    }

    /// Whether a task that must start at once is waiting.
    pub(super) fn has_urgent(&self) -> bool {
        !self.lock().urgent.is_empty()
    }

    /// The number of tasks of each bounded queue that may still be leased.
    pub(super) fn bounds(&self) -> HashMap<QueueName, usize> {
        if self.bounds.is_empty() {
            return HashMap::new();
        }
        let line = self.lock();
        let left = |(queue, most): (&QueueName, &usize)| {
            (
                queue.clone(),
                most.saturating_sub(line.outstanding.get(queue).copied().unwrap_or_default()),
            )
        };
        self.bounds.iter().map(left).collect()
    }

    /// Closes the line: no more tasks start.
    pub(super) fn close(&self) {
        self.is_closed.send_replace(true);
    }

    /// Becomes true when the line is closed.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.is_closed.subscribe()
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }

    /// Waits until the line is closed.
    pub(super) async fn closed(&self) {
        // The sender lives as long as `self`.
        _ = self.is_closed.subscribe().wait_for(|is_closed| *is_closed).await;
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// The number of attempts that have ended since the worker started.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// The next task, which counts as running until its [`end`](Self::end).
    pub(super) async fn next(&self) -> LeasedTask {
        loop {
            if let Some(task) = self.start_next() {
                return task;
            }
            self.arrived.notified().await;
        }
    }

    /// Records that the attempt at a task of `queue` has ended.
    pub(super) fn end(&self, queue: &QueueName) {
        self.count_out(queue);
        self.running.fetch_sub(1, Ordering::AcqRel);
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.moved.notify_one();
    }

    fn count_out(&self, queue: &QueueName) {
        if self.bounds.contains_key(queue)
            && let Some(outstanding) = self.lock().outstanding.get_mut(queue)
        {
            *outstanding = outstanding.saturating_sub(1);
        }
    }

    /// Takes the next task, and counts it as running before it stops counting as waiting.
    fn start_next(&self) -> Option<LeasedTask> {
        let mut line = self.lock();
        if self.is_closed() {
            return None;
        }
        let is_last = self.running() + 1 >= self.concurrency;
        if is_last && line.keeps_runner() {
            self.moved.notify_one();
            return None;
        }
        let task = line.next()?;
        self.running.fetch_add(1, Ordering::AcqRel);
        if line.len > 0 {
            // Permits do not add up: a runner that takes one task notifies the next runner.
            self.arrived.notify_one();
        }
        Some(task)
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Takes out the next task: one that must start at once, or one from the queue whose turn it
    /// is.
    fn next(&mut self) -> Option<LeasedTask> {
        let task = match self.urgent.pop_front() {
            Some((_, task)) => task,
            None => {
                let task = self.next_in_turn()?;
                self.reserve.passed();
                task
            }
        };
        self.len -= 1;
        Some(task)
    }

    /// Whether the last free runner takes none of the tasks that wait: it is the turn of queues
    /// with limits.
    fn keeps_runner(&mut self) -> bool {
        let has_ahead = self.urgent.is_empty() && !self.queues.is_empty();
        has_ahead && self.reserve.keep(self.queues.len())
    }

    fn next_in_turn(&mut self) -> Option<LeasedTask> {
        let last = self.last_turn.as_ref();
        let after = last.and_then(|last| self.queues.range((Excluded(last), Unbounded)).next());
        let queue = after.or_else(|| self.queues.iter().next())?.0.clone();
        let tasks = self.queues.get_mut(&queue)?;
        let next = tasks.pop_front();
        if tasks.is_empty() {
            self.queues.remove(&queue);
        }
        self.last_turn = Some(queue);
        next.map(|(_, task)| task)
    }

    /// Takes out the tasks whose lease time satisfies `is_meant`.
    fn take(&mut self, is_meant: impl Fn(Duration) -> bool) -> Vec<LeasedTask> {
        let (mut taken, mut kept) =
            (Vec::new(), Self { last_turn: self.last_turn.clone(), ..Self::default() });
        kept.reserve = self.reserve;
        std::mem::swap(&mut kept.outstanding, &mut self.outstanding);
        for (since, task) in std::mem::take(&mut self.urgent) {
            if is_meant(since) { taken.push(task) } else { kept.urgent.push_back((since, task)) }
        }
        for (queue, tasks) in std::mem::take(&mut self.queues) {
            let (old, young): (VecDeque<_>, VecDeque<_>) =
                tasks.into_iter().partition(|(since, _)| is_meant(*since));
            taken.extend(old.into_iter().map(|(_, task)| task));
            if !young.is_empty() {
                kept.queues.insert(queue, young);
            }
        }
        kept.len = self.len - taken.len();
        *self = kept;
        taken
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::backend::{LeaseRef, LeaseToken};
    use crate::task::{Kind, Shape, TaskId, TaskSpec};
    use crate::time::Timestamp;

    pub(in crate::worker) fn task(queue: &str, number: u8, standing: Standing) -> LeasedTask {
        let id = TaskId::from_bytes([number; 16]);
        let kind = Kind::from_static("test/task");
        let spec = TaskSpec::new(id, kind, Shape::from_bits(1), QueueName::new(queue).unwrap());
        let lease = LeaseRef::new(id, LeaseToken::from_bits(1));
        LeasedTask {
            standing,
            ..LeasedTask::new(lease, spec, Vec::new(), Timestamp::from_micros(0))
        }
    }

    fn clear(queue: &str, numbers: std::ops::Range<u8>) -> Vec<LeasedTask> {
        numbers.map(|number| task(queue, number, Standing::Clear)).collect()
    }

    /// The numbers of the waiting tasks, in the order in which they start.
    fn order(waiting: &Waiting) -> Vec<u8> {
        std::iter::from_fn(|| waiting.start_next())
            .map(|task| task.lease.id.as_bytes()[0])
            .collect()
    }

    const NOW: Duration = Duration::from_secs(10);

    #[test]
    fn queues_take_turns_whatever_was_leased_first() {
        let waiting = Waiting::default();
        waiting.add(clear("bulk", 0..5), NOW);
        waiting.add(clear("small", 10..12), NOW);
        waiting.add(clear("a", 20..21), NOW);
        assert_eq!(order(&waiting), [20, 0, 10, 1, 11, 2, 3, 4]);
        assert_eq!((waiting.len(), waiting.running()), (0, 8));
    }

    #[test]
    fn a_turn_is_remembered_though_the_queue_is_empty() {
        let waiting = Waiting::default();
        waiting.add(clear("b", 0..1), NOW);
        assert_eq!(order(&waiting), [0]);
        waiting.add([clear("a", 1..2), clear("b", 2..3), clear("c", 3..4)].concat(), NOW);
        assert_eq!(order(&waiting), [3, 1, 2]);
    }

    #[test]
    fn what_must_start_at_once_goes_first() {
        let waiting = Waiting::default();
        waiting.add(clear("a", 0..2), NOW);
        waiting.add(vec![task("z", 9, Standing::Marked), task("z", 8, Standing::Suspect)], NOW);
        assert!(waiting.has_urgent());
        assert_eq!(order(&waiting), [9, 8, 0, 1]);
        assert!(!waiting.has_urgent());
    }

    #[test]
    fn the_oldest_is_found_in_any_queue_and_taken_out() {
        let waiting = Waiting::default();
        assert_eq!(waiting.oldest(), None);
        waiting.add(clear("a", 0..1), NOW);
        waiting.add(vec![task("b", 1, Standing::Clear), task("b", 2, Standing::Marked)], NOW / 2);
        waiting.add(clear("b", 3..4), NOW);
        assert_eq!(waiting.oldest(), Some(NOW / 2));
        let taken: Vec<_> =
            waiting.take_older_than(NOW).iter().map(|task| task.lease.id.as_bytes()[0]).collect();
        assert_eq!((taken, waiting.oldest(), waiting.len()), (vec![2, 1], Some(NOW), 2));
        assert_eq!((waiting.take_all().len(), waiting.len(), waiting.oldest()), (2, 0, None));
    }

    #[test]
    fn a_bounded_queue_counts_what_waits_and_what_runs() {
        let [bulk, other] = ["bulk", "other"].map(|name| QueueName::new(name).unwrap());
        let waiting = Waiting::new(HashMap::from([(bulk.clone(), 3)]), 9);
        let left = || waiting.bounds()[&bulk];
        assert_eq!(left(), 3);
        waiting.add(clear("bulk", 0..2), NOW);
        waiting.add(clear("other", 2..9), NOW);
        assert_eq!((left(), waiting.bounds().len()), (1, 1));
        order(&waiting);
        assert_eq!(left(), 1, "the task runs");
        waiting.end(&other);
        assert_eq!(left(), 1);
        waiting.end(&bulk);
        assert_eq!(left(), 2);
        waiting.add(clear("bulk", 0..1), NOW / 2);
        waiting.take_older_than(NOW);
        assert_eq!(left(), 2, "the task was released");
    }

    #[test]
    fn nothing_starts_when_it_is_closed() {
        let waiting = Waiting::default();
        waiting.add(clear("a", 0..1), NOW);
        waiting.close();
        assert!(waiting.start_next().is_none() && waiting.len() == 1);
    }
}
