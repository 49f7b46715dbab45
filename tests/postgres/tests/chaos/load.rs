//! Workers and producers that go on by themselves whatever happens between them and the server.

use std::collections::BTreeSet;

use gae_tasks::TaskId;

use super::stage::{History, Process, SECOND, Stage};

/// The callers of a producer.
const CALLERS: usize = 3;

/// The load of a test.
pub(crate) struct Load<'a> {
    stage: &'a Stage,
    pub(crate) workers: Vec<Process>,
    producers: Vec<Process>,
    /// Tasks that the test itself has deferred.
    own: BTreeSet<TaskId>,
}

/// What the producers were told.
pub(crate) struct Told {
    pub(crate) stored: BTreeSet<TaskId>,
    /// The texts of errors.
    pub(crate) failed: Vec<String>,
    pub(crate) history: History,
}

impl<'a> Load<'a> {
    /// Starts workers and producers, and waits until they work.
    pub(crate) async fn start(stage: &'a Stage, workers: usize, lease: f64) -> Self {
        let workers = (0..workers).map(|_| stage.worker().lease(lease).start()).collect();
        let producers =
            (0..2).map(|_| stage.producer().option("callers", CALLERS).start()).collect();
        let load = Self { stage, workers, producers, own: BTreeSet::new() };
        load.goes_on().await;
        load
    }

    /// Counts a task that the test has deferred, and that is to run.
    pub(crate) fn expects(&mut self, task: TaskId) {
        self.own.insert(task);
    }

    /// Waits until every producer stores tasks, and tasks run.
    pub(crate) async fn goes_on(&self) {
        let stored: Vec<_> = self.producers.iter().map(|one| one.stored().len()).collect();
        let begun = self.stage.history().attempts.len();
        super::stage::until("progress", 30 * SECOND, async || {
            let stores = |(one, before): (&Process, &usize)| one.stored().len() > before + 5;
            self.producers.iter().zip(&stored).all(stores)
                && self.stage.history().attempts.len() > begun + 5
        })
        .await;
    }

    /// Ends the producers; waits until nothing is left, and checks that nothing that was
    /// acknowledged is lost, and that nothing ran beside itself.
    pub(crate) async fn end(mut self) -> Told {
        self.producers.iter_mut().for_each(Process::kill);
        let printed: Vec<_> = self.producers.iter().flat_map(Process::printed).collect();
        let mut stored: BTreeSet<_> = self.producers.iter().flat_map(Process::stored).collect();
        stored.append(&mut self.own);
        let failed = printed.iter().filter_map(|line| line.strip_prefix("failed "));
        let failed: Vec<_> = failed.map(str::to_owned).collect();
        self.stage.until_open(0, 90 * SECOND).await;
        for worker in &mut self.workers {
            assert!(worker.ended().is_none(), "a worker has ended: {:?}", worker.ended());
        }
        let history = self.stage.history();
        let lost: Vec<_> = stored.iter().filter(|task| history.begun(**task) == 0).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        history.assert_nothing_ran_beside_itself();
        assert_eq!(self.stage.dead().await, 0);
        let unacknowledged = history.attempts.keys().filter(|task| !stored.contains(task)).count();
        let again = history.attempts.values().filter(|attempts| attempts.len() > 1).count();
        println!(
            "{} tasks acknowledged, {unacknowledged} others, {again} ran again, {} errors",
            stored.len(),
            failed.len()
        );
        // A caller that got an error does not know whether its task is stored, nor does one that
        // was killed.
        assert!(
            unacknowledged <= failed.len() + CALLERS * self.producers.len(),
            "{unacknowledged} tasks ran that nobody was told of"
        );
        Told { stored, failed, history }
    }
}

impl Told {
    /// Checks that every error has one of these texts.
    pub(crate) fn assert_only(&self, expected: &[&str]) {
        let texts: BTreeSet<_> = self.failed.iter().collect();
        println!("{texts:#?}");
        let is_expected = |text: &&&String| !expected.iter().any(|part| text.contains(part));
        let others: Vec<_> = texts.iter().filter(is_expected).collect();
        assert!(others.is_empty(), "other errors than the injected ones: {others:#?}");
    }
}
