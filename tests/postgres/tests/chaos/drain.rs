//! Four workers, killed and stopped at random, drain many tasks while producers are killed too.
//!
//! `CHAOS_TASKS=50000` sets the number of tasks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gae_tasks::TaskId;
use gae_tasks_tests::chaos::hold;

use super::stage::{Dice, History, Made, Process, SECOND, Stage, TOLERANCE, length, now};

const WORKERS: usize = 4;
const PRODUCERS: usize = 2;
const LEASE: Duration = Duration::from_secs(1);

/// The longest time between the death of a worker and the next attempt at its tasks.
const SOON: Duration = Duration::from_secs(3);

/// The processes of the drain, and what happened to them.
struct Crew<'a> {
    stage: &'a Stage,
    dice: Dice,
    workers: Vec<Process>,
    producers: Vec<Process>,
    /// The stopped worker, and since when it is stopped.
    stopped: Option<(usize, Instant)>,
    stops: Vec<Stop>,
    kills: Vec<(u32, Duration)>,
    acknowledged: BTreeSet<TaskId>,
}

/// The time for which a process was stopped.
struct Stop {
    process: u32,
    from: Duration,
    until: Duration,
}

impl<'a> Crew<'a> {
    fn new(stage: &'a Stage, dice: Dice) -> Self {
        let workers = (0..WORKERS).map(|_| worker(stage)).collect();
        let producers = (0..PRODUCERS).map(|_| producer(stage)).collect();
        let (stopped, stops, kills) = (None, Vec::new(), Vec::new());
        Self {
            stage,
            dice,
            workers,
            producers,
            stopped,
            stops,
            kills,
            acknowledged: BTreeSet::new(),
        }
    }

    /// Does something to one of the processes.
    async fn disturb(&mut self) {
        tokio::time::sleep(self.dice.millis(50..400)).await;
        let one = self.dice.below(WORKERS);
        match self.dice.below(4) {
            0 => self.kill_a_producer(),
            1 if self.stopped.is_none() => self.stop(one),
            _ if self.stopped.is_none_or(|(stopped, _)| stopped != one) => self.kill(one),
            _ => {}
        }
        if self.stopped.is_some_and(|(_, since)| since.elapsed() > 2 * LEASE + SECOND) {
            self.resume();
        }
    }

    fn kill(&mut self, one: usize) {
        self.workers[one].kill();
        self.kills.push((self.workers[one].id(), now()));
        self.workers[one] = worker(self.stage);
    }

    fn kill_a_producer(&mut self) {
        let one = self.dice.below(PRODUCERS);
        if self.producers.is_empty() {
            return;
        }
        self.producers[one].kill();
        self.acknowledged.extend(acknowledged(&self.producers[one]));
        self.producers[one] = producer(self.stage);
    }

    fn stop(&mut self, one: usize) {
        self.stopped = Some((one, Instant::now()));
        self.stops.push(Stop {
            process: self.workers[one].id(),
            from: now(),
            until: Duration::MAX,
        });
        self.workers[one].signal("-STOP");
    }

    fn resume(&mut self) {
        if let Some((one, _)) = self.stopped.take() {
            self.workers[one].signal("-CONT");
            self.stops.last_mut().expect("a stop began").until = now();
        }
    }

    fn end_producers(&mut self) {
        for mut producer in std::mem::take(&mut self.producers) {
            producer.kill();
            self.acknowledged.extend(acknowledged(&producer));
        }
    }

    /// Whether an attempt was taken over at `moment` because its worker was stopped, for as long as
    /// a lease may be unrenewed at least.
    fn was_stopped(&self, attempt: &Made, moment: Duration) -> bool {
        let renewed = LEASE / 2;
        self.stops.iter().any(|stop| {
            stop.process == attempt.process
                && stop.from + renewed < moment
                // The worker that was stopped finds its leases lost as soon as it looks.
                && moment < stop.until.saturating_add(TOLERANCE)
        })
    }
}

fn worker(stage: &Stage) -> Process {
    stage.worker().lease(LEASE.as_secs_f64()).start()
}

fn producer(stage: &Stage) -> Process {
    stage.producer().option("callers", 2).start()
}

/// Returns the acknowledged tasks of a killed producer, which had no error.
fn acknowledged(producer: &Process) -> Vec<TaskId> {
    let printed = producer.printed();
    let failed: Vec<_> = printed.iter().filter(|line| line.starts_with("failed")).collect();
    assert!(failed.is_empty(), "{failed:?}");
    producer.stored()
}

fn tasks() -> usize {
    std::env::var("CHAOS_TASKS").map_or(10_000, |tasks| tasks.parse().expect("a number"))
}

#[tokio::test]
async fn every_task_runs_and_none_beside_itself_though_four_workers_are_killed_and_stopped() {
    let (stage, mut dice) = (Stage::new().await, Dice::new());
    let mut stored = BTreeSet::new();
    for _ in 0..tasks().div_ceil(1_000) {
        let calls: Vec<_> = (0..1_000).map(|_| hold::defer(dice.below(40) as u64)).collect();
        let deferred = stage.tasks.defer_many(calls).await.unwrap();
        stored.extend(deferred.into_iter().map(|deferred| deferred.id));
    }
    let (mut crew, begun) = (Crew::new(&stage, dice), Instant::now());
    let least = length(12, 60);
    while begun.elapsed() < least {
        crew.disturb().await;
    }
    crew.end_producers();
    while stage.tasks.stats().await.unwrap().open() > 1_000 {
        assert!(begun.elapsed() < 900 * SECOND, "{:?}", stage.tasks.stats().await.unwrap());
        crew.disturb().await;
    }
    crew.resume();
    stage.until_open(0, 60 * SECOND).await;
    stored.extend(crew.acknowledged.iter().copied());

    let history = stage.history();
    println!(
        "{} tasks, {} of them by killed producers, {} kills, {} stops, {:.1?}",
        stored.len(),
        crew.acknowledged.len(),
        crew.kills.len(),
        crew.stops.len(),
        begun.elapsed()
    );
    assert!(crew.kills.len() > 5 && crew.stops.len() > 1 && crew.acknowledged.len() > 20);
    let lost: Vec<_> = stored.iter().filter(|task| history.begun(**task) == 0).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert_eq!(stage.dead().await, 0, "an innocent task died");
    assert_nothing_overlaps(&crew, &history);
    assert_nothing_waits_long(&crew, &history);
}

/// An attempt begins while another is open only if the other's worker is stopped.
fn assert_nothing_overlaps(crew: &Crew<'_>, history: &History) {
    let (mut again, mut overlaps) = (0, Vec::new());
    for (task, attempts) in &history.attempts {
        again += attempts.len() - 1;
        for (at, later) in attempts.iter().enumerate() {
            let open = attempts[..at]
                .iter()
                .filter(|one| one.over.is_none_or(|(_, over)| over > later.begun));
            overlaps.extend(
                open.filter(|one| !crew.was_stopped(one, later.begun))
                    .map(|one| (*task, *one, *later)),
            );
        }
    }
    println!("{again} tasks ran again");
    assert!(overlaps.is_empty(), "{overlaps:#?}");
}

/// The first of a killed worker's tasks runs again soon; others may wait behind it as suspects.
fn assert_nothing_waits_long(crew: &Crew<'_>, history: &History) {
    let mut waits = Vec::new();
    for (process, killed) in &crew.kills {
        let pairs = history.attempts.values().flat_map(|attempts| attempts.windows(2));
        let again = pairs.filter(|pair| pair[0].process == *process);
        waits.extend(again.map(|pair| pair[1].begun.saturating_sub(*killed)).min());
    }
    waits.sort_unstable();
    println!("from a kill to the next attempt: {waits:.1?}");
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    assert!(median < SOON + TOLERANCE, "{median:?}");
    assert!(longest < 10 * SECOND + SOON, "{longest:?}");
}
