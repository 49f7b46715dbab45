//! Hiccups (wrong clocks, freezes, a locked storage, a blocked runtime), and workers that die after
//! them: tasks of dead workers are retried soon, and live workers keep their tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use gae_tasks::TaskId;
use gae_tasks_tests::chaos::{Sign, block, obey};

use super::place;
use super::stage::{
    HOUR, History, Orders, Process, SECOND, Stage, TOLERANCE, is_full, length, now, until,
};

/// The lease durations of live workers that observe no others, because an attempt blocks their
/// runtime.
const HOLDERS: [f64; 4] = [1.0, 1.2, 5.0, 30.0];

/// How the death of a worker is detected.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Clue {
    /// The worker's lock is free.
    Lock,
    /// Without a lock: the worker's lease, of this duration in seconds, expires.
    Lease(f64),
}

impl Clue {
    /// Returns the lease of the worker in seconds: for a lock, much longer than the detection
    /// takes.
    fn lease(self) -> f64 {
        match self {
            Self::Lock => 60.0,
            Self::Lease(seconds) => seconds,
        }
    }

    fn queue(self) -> String {
        match self {
            Self::Lock => "victim-lock".to_owned(),
            Self::Lease(seconds) => format!("victim-{}", seconds.to_string().replace('.', "-")),
        }
    }

    /// Returns the time limit for the retry of the worker's tasks.
    fn limit(self) -> Duration {
        match self {
            Self::Lock => SECOND,
            Self::Lease(seconds) => Duration::from_secs_f64(2.0 * seconds) + SECOND,
        }
    }
}

/// A worker with an attempt that runs until the end of the test.
struct Busy {
    process: Process,
    task: TaskId,
    lease: f64,
}

/// One place with workers of mixed leases: some that will die, some that live on, and one that
/// observes the others.
struct Scene {
    stage: Stage,
    orders: Orders,
    /// The time for which the hiccup keeps all processes from the storage.
    absence: Duration,
    /// The time for which the hiccup stops the observer only: others may find that its lease is
    /// lost.
    observer_absence: Duration,
    victims: Vec<(Clue, Busy)>,
    holders: Vec<Busy>,
    observer: Busy,
}

impl Scene {
    async fn new(observer: f64, absence: Duration) -> Self {
        let stage = Stage::new().await;
        let orders = stage.orders("orders");
        let mut holders = Vec::new();
        for lease in HOLDERS {
            // A worker that loses its lease must be able to stop its attempt.
            let blocks = outlasts(lease, absence);
            holders.push(busy(&stage, &orders, &[holder_queue(lease)], lease, blocks).await);
        }
        let mut victims = Vec::new();
        for clue in clues().into_iter().filter(|clue| outlasts(clue.lease(), absence)) {
            victims.push((clue, victim(&stage, &orders, clue).await));
        }
        let queues =
            HOLDERS.map(holder_queue).into_iter().chain(clues().into_iter().map(Clue::queue));
        let queues: Vec<_> = ["observer".to_owned()].into_iter().chain(queues).collect();
        let observer = busy(&stage, &orders, &queues, observer, false).await;
        Self { stage, orders, absence, observer_absence: absence, victims, holders, observer }
    }

    /// Starts the workers that will die and could not have held a lease through the hiccup.
    async fn add_victims(&mut self) {
        for clue in clues().into_iter().filter(|clue| !outlasts(clue.lease(), self.absence)) {
            self.victims.push((clue, victim(&self.stage, &self.orders, clue).await));
        }
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        let victims = self.victims.iter().map(|(_, victim)| victim);
        victims.chain(&self.holders).chain([&self.observer]).map(|busy| &busy.process)
    }

    /// Returns the live workers whose leases outlast the hiccup.
    fn live(&self) -> impl Iterator<Item = &Busy> {
        let holders = self.holders.iter().filter(|live| outlasts(live.lease, self.absence));
        holders
            .chain(Some(&self.observer).filter(|live| outlasts(live.lease, self.observer_absence)))
    }

    /// Kills the workers that are to die, and returns the broken promises.
    async fn problems(mut self) -> Vec<String> {
        self.add_victims().await;
        let mut killed = BTreeMap::new();
        for (_, victim) in &mut self.victims {
            killed.insert(victim.task, now());
            victim.process.kill();
        }
        self.wait_for_the_next_attempts().await;
        let history = self.stage.history();
        let mut problems = Vec::new();
        for (clue, victim) in &self.victims {
            let attempts = history.of(victim.task);
            let after = attempts.get(1).map(|next| next.begun.saturating_sub(killed[&victim.task]));
            println!("observer of {} s: {clue:?} recovered after {after:.1?}", self.observer.lease);
            if attempts[0].over.is_none_or(|(sign, _)| sign != Sign::Killed) {
                problems.push(format!(
                    "{clue:?}: the worker's task was taken before the worker was killed"
                ));
            } else if after.is_none_or(|after| after > clue.limit() + TOLERANCE) {
                problems.push(format!(
                    "{clue:?}: recovered after {after:.1?} in place of {:?}",
                    clue.limit()
                ));
            }
        }
        problems.extend(self.problems_of_the_living(&history, 0));
        if problems.is_empty() {
            self.assert_all_end().await;
            problems.extend(self.problems_of_the_living(&self.stage.history(), 1));
        }
        problems
    }

    async fn wait_for_the_next_attempts(&self) {
        let longest = self.victims.iter().map(|(clue, _)| clue.limit()).max().unwrap() + TOLERANCE;
        let deadline = now() + longest;
        loop {
            let history = self.stage.history();
            if now() > deadline
                || self.victims.iter().all(|(_, victim)| history.begun(victim.task) > 1)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns a problem for each live worker whose task has not begun once and ended `ended`
    /// times.
    fn problems_of_the_living(&self, history: &History, ended: usize) -> Vec<String> {
        let untouched =
            |live: &&Busy| (history.begun(live.task), history.over(live.task)) == (1, (ended, 0));
        let problem = |live: &Busy| {
            format!("the live lease of {} s: {:?}", live.lease, history.of(live.task))
        };
        self.live().filter(|live| !untouched(live)).map(problem).collect()
    }

    async fn assert_all_end(&self) {
        self.orders.done();
        self.stage.until_open(0, 10 * SECOND).await;
        let mut history = self.stage.history();
        // The attempt of a worker that was stopped for longer than its lease runs until the worker
        // finds the lease lost.
        let was_lost = |task| {
            task == self.observer.task && !outlasts(self.observer.lease, self.observer_absence)
        };
        history.beside_themselves.retain(|(task, _)| !was_lost(*task));
        history.assert_nothing_ran_beside_itself();
        assert_eq!(self.stage.dead().await, 0);
    }
}

fn clues() -> Vec<Clue> {
    let mut clues = vec![Clue::Lease(1.0), Clue::Lease(1.2), Clue::Lease(5.0)];
    clues.extend(place::HAS_LOCKS.then_some(Clue::Lock));
    clues.extend(is_full().then_some(Clue::Lease(30.0)));
    clues
}

/// Whether a lease outlasts a time without extensions; its last extension may be a third of the
/// lease old.
fn outlasts(lease: f64, absence: Duration) -> bool {
    absence.is_zero() || lease / 2.0 >= absence.as_secs_f64()
}

fn holder_queue(lease: f64) -> String {
    format!("holder-{}", lease.to_string().replace('.', "-"))
}

/// Starts a worker that will die, and whose death is detected by this clue.
async fn victim(stage: &Stage, orders: &Orders, clue: Clue) -> Busy {
    let before = stage.place.locks();
    let victim = busy(stage, orders, &[clue.queue()], clue.lease(), false).await;
    if clue != Clue::Lock {
        stage.place.remove_lock(&before);
    }
    victim
}

/// Starts a worker of these queues, and an attempt in it. Other workers of its first queue may take
/// tasks first.
async fn busy(stage: &Stage, orders: &Orders, queues: &[String], lease: f64, blocks: bool) -> Busy {
    let process = stage.worker().queues(queues).lease(lease).start();
    for _ in 0..50 {
        let defer = if blocks { block::defer(orders.file()) } else { obey::defer(orders.file()) };
        let task = defer.queue(&queues[0]).on(&stage.tasks).await.unwrap().id;
        stage.until_begun(&[task], 1).await;
        if stage.history().of(task)[0].process == process.id() {
            return Busy { process, task, lease };
        }
    }
    panic!("another worker has taken every task of {:?}", queues[0]);
}

/// Runs the hiccup in places whose observers have leases of all lengths.
async fn after(hiccup: impl AsyncFn(&mut Scene)) {
    after_absence(Duration::ZERO, hiccup).await;
}

/// Like [`after`], for a hiccup that keeps all processes from the storage for `absence`.
async fn after_absence(absence: Duration, hiccup: impl AsyncFn(&mut Scene)) {
    let with = async |observer| {
        let mut scene = Scene::new(observer, absence).await;
        hiccup(&mut scene).await;
        scene.problems().await
    };
    let (short, long) = tokio::join!(with(1.2), with(30.0));
    let mut problems = vec![("an observer with a lease of 1.2 s", short), ("one of 30 s", long)];
    if is_full() {
        let (shortest, middle) = tokio::join!(with(1.0), with(5.0));
        problems.extend([("one of 1 s", shortest), ("one of 5 s", middle)]);
    }
    problems.retain(|(_, problems)| !problems.is_empty());
    assert!(problems.is_empty(), "{problems:#?}");
}

#[tokio::test]
async fn every_clock_set_ahead() {
    after(async |scene| scene.processes().for_each(|process| process.clock.set(HOUR).unwrap()))
        .await;
}

#[tokio::test]
async fn every_clock_set_back() {
    after(async |scene| scene.processes().for_each(|process| process.clock.set(-HOUR).unwrap()))
        .await;
}

#[tokio::test]
async fn the_observers_clock_set_ahead() {
    after(async |scene| scene.observer.process.clock.set(HOUR).unwrap()).await;
}

#[tokio::test]
async fn the_observers_clock_set_back() {
    after(async |scene| scene.observer.process.clock.set(-HOUR).unwrap()).await;
}

/// Sets one clock an hour ahead and another an hour back, so that their stored times differ by two
/// hours.
#[tokio::test]
async fn the_clocks_of_those_who_are_observed_set() {
    after(async |scene| {
        for (number, busy) in
            scene.holders.iter().chain(scene.victims.iter().map(|(_, victim)| victim)).enumerate()
        {
            busy.process.clock.set(if number % 2 == 0 { HOUR } else { -HOUR }).unwrap();
        }
        // Until each worker has extended its lease with its new clock.
        tokio::time::sleep(2 * SECOND).await;
    })
    .await;
}

/// Stops a worker once for long, and then repeatedly in its first actions after it resumes.
#[tokio::test]
async fn the_observer_stopped() {
    after(async |scene| {
        for freeze in [length(3, 60), SECOND, 2 * SECOND, SECOND] {
            scene.observer_absence += freeze;
            scene.observer.process.signal("-STOP");
            tokio::time::sleep(freeze).await;
            scene.observer.process.signal("-CONT");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_observers_runtime_blocked() {
    after(async |scene| {
        let spell = scene.stage.orders("spell");
        let task =
            block::defer(spell.file()).queue("observer").on(&scene.stage.tasks).await.unwrap().id;
        scene.stage.until_begun(&[task], 1).await;
        tokio::time::sleep(length(4, 60)).await;
        spell.done();
        until("the end of the spell", SECOND + TOLERANCE, async || {
            scene.stage.history().over(task) == (1, 0)
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_storage_locked_by_another_program() {
    let absence = Duration::from_secs_f64(if is_full() { 60.0 } else { 2.5 });
    after_absence(absence, async |scene| {
        let lock = scene.stage.place.lock().await;
        tokio::time::sleep(absence).await;
        drop(lock);
    })
    .await;
}
