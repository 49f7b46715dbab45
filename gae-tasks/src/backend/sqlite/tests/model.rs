//! Random sequences of calls get the same answers as from memory.

use std::sync::Arc;
use std::time::Duration;

use super::{Folder, wait};
use crate::backend::memory::Memory;
use crate::backend::{
    Enqueue, Extend, Lease, LeaseRef, LeaseToken, LeasedTask, List, NewTask, Pull, Purge, Routes, Settle, Settlement,
    Sweep, TaskFilter, TaskState, Touch, Verdict,
};
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::task::{Kind, Route, Shape, TaskId, TaskName};
use crate::time::{Now, Schedule, Timestamp};

const FAR: Duration = Duration::from_secs(50);

/// Numbers that are random enough, and the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize].clone()
    }

    fn maybe<T>(&mut self, value: T) -> Option<T> {
        (self.roll(2) == 0).then_some(value)
    }
}

struct Pair {
    model: Memory,
    sqlite: super::Sqlite,
    dice: Dice,
    now: Timestamp,
    ids: Vec<TaskId>,
    sent: Vec<NewTask>,
    /// Leases that were given, as the model's token and SQLite's.
    leases: Vec<(TaskId, LeaseToken, LeaseToken)>,
}

#[test]
fn the_same_answers_as_memory() {
    for seed in 1..=12 {
        let folder = Folder::new();
        let mut pair = Pair {
            model: Memory::new(),
            sqlite: folder.open(),
            dice: Dice(seed),
            now: Timestamp::from_micros(1_000_000_000),
            ids: Vec::new(),
            sent: Vec::new(),
            leases: Vec::new(),
        };
        for step in 0..250 {
            pair.step(&format!("seed {seed}, step {step}"));
        }
        assert!(pair.leases.len() > 20, "seed {seed} gave {} leases: too few to tell", pair.leases.len());
    }
}

impl Pair {
    fn step(&mut self, place: &str) {
        self.now = self.now.plus(Duration::from_millis(self.dice.roll(4_000)));
        let what = self.dice.roll(20);
        let (one, other) = match what {
            0..=4 => self.enqueue(),
            5..=8 => self.lease(),
            9..=12 => self.settle(),
            13 => self.extend(),
            14 | 15 => self.sweep(),
            16 | 17 => self.touch(),
            18 => self.queue(),
            _ => self.stale(),
        };
        assert_eq!(one, other, "{place}, action {what}");
        let see = |backend: &dyn Pull| {
            let all = List { filter: TaskFilter::new(), after: None, limit: 1000 };
            let now = Now::At(self.now);
            (wait(backend.list(all)).unwrap(), wait(backend.stats(now)).unwrap(), wait(backend.queues()).unwrap())
        };
        assert_eq!(see(&self.model), see(&self.sqlite), "{place}, after action {what}");
        self.pages(place);
    }

    /// Asks both the same, and prints the answers.
    fn both<T: std::fmt::Debug>(&self, ask: impl Fn(&dyn Pull) -> T) -> (String, String) {
        (format!("{:?}", ask(&self.model)), format!("{:?}", ask(&self.sqlite)))
    }

    fn new_task(&mut self) -> NewTask {
        let dice = &mut self.dice;
        let quick = RetryConfig::new()
            .with_max_attempts(Some(1 + dice.roll(4) as u32))
            .with_min_backoff(Duration::from_secs(dice.roll(5)));
        NewTask {
            id: TaskId::generate(),
            kind: dice.one(&[Kind::from_static("a/x"), Kind::from_static("a/y")]),
            shape: Shape::from_bits(dice.one(&[1, u64::MAX])),
            payload: vec![7; dice.one(&[0, 3, 5_000])],
            queue: queue(dice),
            name: dice.one(&[None, None, Some("n1"), Some("n2")]).map(|name| TaskName::new(name).unwrap()),
            schedule: dice.one(&[
                Schedule::Now,
                Schedule::Now,
                Schedule::After(Duration::from_secs(3)),
                Schedule::At(self.now.minus(FAR)),
                Schedule::At(self.now.plus(FAR)),
            ]),
            max_attempts: dice.one(&[None, Some(2)]),
            retry: dice.maybe(quick),
            deadline: dice.one(&[None, Some(Duration::from_nanos(1_000_000_001))]),
            attributes: dice.one(&[None, Some(vec![]), Some(vec![1, 2])]),
        }
    }

    fn enqueue(&mut self) -> (String, String) {
        let count = self.dice.roll(5);
        let mut tasks: Vec<_> = (0..count).map(|_| self.new_task()).collect();
        if self.dice.roll(3) == 0 && !self.sent.is_empty() {
            // Again, as a caller does whose answer was lost.
            tasks.push(self.dice.one(&self.sent));
        }
        self.ids.extend(tasks.iter().map(|task| task.id));
        self.sent.extend(tasks.iter().cloned());
        let now = Now::At(self.now);
        self.both(|backend| {
            let answers = wait(backend.enqueue(Enqueue { now, tasks: tasks.clone() })).unwrap();
            answers.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        })
    }

    fn lease(&mut self) -> (String, String) {
        let dice = &mut self.dice;
        let route = |kind, shape| Route::new(Kind::from_static(kind), Shape::from_bits(shape));
        let some = Routes::Only(Arc::new([route("a/x", 1), route("a/y", u64::MAX), route("b/z", 1)].into()));
        let request = Lease {
            now: Now::At(self.now),
            queues: Arc::new((0..1 + dice.roll(3)).map(|_| queue(dice)).collect()),
            routes: dice.one(&[Routes::Any, some]),
            limit: dice.roll(6) as usize,
            starting: dice.roll(3) as usize,
            suspects: dice.roll(3) as usize,
            duration: Duration::from_secs(dice.one(&[2, 10])),
        };
        let one = wait(self.model.lease(request.clone())).unwrap();
        let other = wait(self.sqlite.lease(request)).unwrap();
        for (one, other) in one.tasks.iter().zip(&other.tasks) {
            self.leases.push((one.lease.id, one.lease.token, other.lease.token));
        }
        let plain = |tasks: Vec<LeasedTask>| -> Vec<LeasedTask> {
            let no_token = |id| LeaseRef { id, token: LeaseToken::from_bits(0) };
            tasks.into_iter().map(|task| LeasedTask { lease: no_token(task.lease.id), ..task }).collect()
        };
        let payloads = |tasks: &[LeasedTask]| tasks.iter().map(|task| task.payload.clone()).collect::<Vec<_>>();
        assert_eq!(payloads(&one.tasks), payloads(&other.tasks));
        (format!("{:?} {:?}", plain(one.tasks), one.next), format!("{:?} {:?}", plain(other.tasks), other.next))
    }

    /// Some of the leases that were given, held or lost.
    fn some_leases(&mut self) -> Vec<(TaskId, LeaseToken, LeaseToken)> {
        let count = self.dice.roll(4);
        let from = self.leases.len().saturating_sub(8);
        let recent = self.leases[from..].to_vec();
        if recent.is_empty() { Vec::new() } else { (0..count).map(|_| self.dice.one(&recent)).collect() }
    }

    fn settle(&mut self) -> (String, String) {
        let leases = self.some_leases();
        let outcomes: Vec<_> = leases.into_iter().map(|lease| (lease, self.verdict())).collect();
        let started = self.dice.maybe(self.now.minus(Duration::from_secs(1)));
        let request = |token: fn(&(TaskId, LeaseToken, LeaseToken)) -> LeaseToken| {
            let settlement = |(lease, verdict): &((TaskId, LeaseToken, LeaseToken), Verdict)| Settlement {
                lease: LeaseRef { id: lease.0, token: token(lease) },
                started,
                verdict: verdict.clone(),
            };
            let settlements = outcomes.iter().map(settlement).collect();
            Settle { now: Now::At(self.now), settlements, tombstones: Duration::from_secs(20) }
        };
        let one = wait(self.model.settle(request(|lease| lease.1)));
        let other = wait(self.sqlite.settle(request(|lease| lease.2)));
        (format!("{one:?}"), format!("{other:?}"))
    }

    fn verdict(&mut self) -> Verdict {
        let error = "é".repeat(self.dice.one(&[1, 3_000]));
        match self.dice.roll(6) {
            0 | 1 => Verdict::Done,
            2 => Verdict::Release,
            3 => Verdict::Permanent { error },
            _ => Verdict::Retry {
                error,
                after: self.dice.maybe(Duration::from_secs(2)),
                max_attempts: self.dice.one(&[None, Some(3)]),
            },
        }
    }

    fn extend(&mut self) -> (String, String) {
        let leases = self.some_leases();
        let request = |leases| Extend { now: Now::At(self.now), leases, duration: Duration::from_secs(5) };
        let of = |(id, token)| LeaseRef { id, token };
        let one = request(leases.iter().map(|lease| of((lease.0, lease.1))).collect());
        let other = request(leases.iter().map(|lease| of((lease.0, lease.2))).collect());
        (format!("{:?}", wait(self.model.extend(one))), format!("{:?}", wait(self.sqlite.extend(other))))
    }

    fn sweep(&mut self) -> (String, String) {
        let dead_letters = Duration::from_secs(self.dice.one(&[0, 15, 100]));
        let tombstones = Duration::from_secs(10);
        let request = Sweep { now: Now::At(self.now), dead_letters, tombstones, limit: 1000 };
        self.both(|backend| wait(backend.sweep(request.clone())).unwrap())
    }

    fn touch(&mut self) -> (String, String) {
        let id = if self.ids.is_empty() { TaskId::generate() } else { self.dice.one(&self.ids) };
        let touch = Touch { now: Now::At(self.now), id, tombstones: Duration::from_secs(10) };
        match self.dice.roll(5) {
            0 => self.both(|backend| wait(backend.delete(touch)).unwrap()),
            1 | 2 => self.both(|backend| wait(backend.run_now(touch)).map_err(|error| error.to_string())),
            _ => self.both(|backend| wait(backend.replay(touch)).map_err(|error| error.to_string())),
        }
    }

    fn queue(&mut self) -> (String, String) {
        let name = queue(&mut self.dice);
        let attempts = self.dice.one(&[None, Some(2)]);
        let config = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(attempts));
        let purge = Purge { now: Now::At(self.now), tombstones: Duration::from_secs(10) };
        match self.dice.roll(7) {
            0 => self.both(|backend| wait(backend.purge(name.clone(), purge)).unwrap()),
            1 | 2 => self.both(|backend| wait(backend.put_queue(name.clone(), config.clone())).unwrap()),
            3 => self.both(|backend| wait(backend.set_paused(name.clone(), true)).unwrap()),
            _ => self.both(|backend| wait(backend.set_paused(name.clone(), false)).unwrap()),
        }
    }

    /// A token that was never given changes nothing.
    fn stale(&mut self) -> (String, String) {
        let Some(id) = self.ids.last().copied() else { return Default::default() };
        let lease = LeaseRef { id, token: LeaseToken::from_bits(5) };
        let settlements = vec![Settlement::new(lease, Verdict::Done)];
        let request = Settle { now: Now::At(self.now), settlements, tombstones: Duration::ZERO };
        self.both(|backend| wait(backend.settle(request.clone())).unwrap())
    }

    fn pages(&mut self, place: &str) {
        let state = self.dice.one(&[TaskState::Scheduled, TaskState::Leased, TaskState::Dead]);
        let mut filter = TaskFilter::new();
        filter.queue = self.dice.maybe(QueueName::DEFAULT);
        filter.kind = self.dice.maybe(Kind::from_static("a/x"));
        filter.state = self.dice.maybe(state);
        let after = self.ids.first().copied().filter(|_| self.dice.roll(2) == 0);
        let list = List { filter, after, limit: self.dice.roll(5) as usize };
        let (one, other) = self.both(|backend| wait(backend.list(list.clone())).unwrap());
        assert_eq!(one, other, "{place}, {list:?}");
    }
}

fn queue(dice: &mut Dice) -> QueueName {
    dice.one(&[QueueName::DEFAULT, QueueName::from_static("emails"), QueueName::from_static("slow")])
}
