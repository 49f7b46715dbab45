//! Producers that are killed at random moments: every task that was acknowledged is stored.

use std::collections::BTreeSet;
use std::time::Instant;

use gae_tasks_tests::chaos::Sign;

use super::stage::{Dice, Process, SECOND, Stage, length};

const PRODUCERS: usize = 3;
const CALLERS: usize = 4;

#[tokio::test]
async fn what_a_killed_producer_was_told_is_stored_runs_once() {
    let stage = Stage::new().await;
    let mut dice = Dice::new();
    let start = || stage.producer().option("callers", CALLERS).start();
    let _workers: Vec<_> = (0..2).map(|_| stage.worker().start()).collect();
    let mut producers: Vec<_> = (0..PRODUCERS).map(|_| start()).collect();
    let (mut stored, mut kills, begun) = (BTreeSet::new(), 0, Instant::now());
    while begun.elapsed() < length(8, 60) {
        tokio::time::sleep(dice.millis(30..300)).await;
        stored.extend(killed(producers.swap_remove(dice.below(PRODUCERS))));
        producers.push(start());
        kills += 1;
    }
    stored.extend(producers.into_iter().flat_map(killed));
    stage.until_open(0, 60 * SECOND).await;

    let history = stage.history();
    println!(
        "{} tasks acknowledged, {} begun, {kills} kills",
        stored.len(),
        history.attempts.len()
    );
    assert!(stored.len() > 100, "the producers stored only {} tasks", stored.len());
    history.assert_nothing_ran_beside_itself();
    for task in stored {
        assert!(history.begun(task) > 0, "{task} was acknowledged and is lost");
    }
    // No worker was killed, so no task is repeated.
    for (task, attempts) in &history.attempts {
        let ended = attempts
            .iter()
            .filter(|one| one.over.is_some_and(|(sign, _)| sign == Sign::Ended))
            .count();
        assert_eq!((attempts.len(), ended), (1, 1), "{task}");
    }
}

/// Kills a producer and returns its acknowledged tasks.
fn killed(mut producer: Process) -> Vec<gae_tasks::TaskId> {
    producer.kill();
    let failed: Vec<_> =
        producer.printed().into_iter().filter(|line| line.starts_with("failed")).collect();
    assert!(failed.is_empty(), "{failed:?}");
    producer.stored()
}
