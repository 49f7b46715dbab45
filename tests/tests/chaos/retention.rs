//! Two programs on one file that keep dead letters for different times.

use gae_tasks::TaskId;
use gae_tasks_tests::chaos::{fail_for_good, hold};

use super::stage::{HOUR, Process, SECOND, Stage, until};

const DAY: i64 = 24 * HOUR;

fn start(stage: &Stage, days: u64) -> Process {
    stage.worker().lease(1.0).option("retention", days).start()
}

/// Creates a dead letter; any worker runs its task.
async fn dead_letter(stage: &Stage) -> TaskId {
    let id = fail_for_good::defer().on(&stage.tasks).await.unwrap().id;
    until("a dead letter", 5 * SECOND, async || stage.dead().await == 1).await;
    id
}

/// Waits until this new worker has swept the file.
async fn until_at_work(stage: &Stage, worker: &Process) {
    until("a task run by the new worker", 10 * SECOND, async || {
        let task = hold::defer(0_u64).on(&stage.tasks).await.unwrap().id;
        stage.until_begun(&[task], 1).await;
        stage.history().of(task)[0].process == worker.id()
    })
    .await;
}

/// Runs both programs, and then only the impatient one, on a file with a dead letter of 8 days.
async fn shared_file(order: [u64; 2]) -> (Stage, TaskId, Process) {
    let stage = Stage::new().await;
    let first = start(&stage, order[0]);
    let letter = dead_letter(&stage).await;
    let second = start(&stage, order[1]);
    until_at_work(&stage, &second).await;
    let (impatient, mut patient) = if order[0] == 7 { (first, second) } else { (second, first) };
    patient.signal("-TERM");
    patient.wait();
    (stage, letter, impatient)
}

#[tokio::test]
async fn the_longer_retention_of_two_programs_counts_whoever_started_first() {
    let alone = Stage::new().await;
    let own = start(&alone, 7);
    let own_letter = dead_letter(&alone).await;
    let shared = [shared_file([7, 90]).await, shared_file([90, 7]).await];
    [&own, &shared[0].2, &shared[1].2]
        .iter()
        .for_each(|process| process.clock.set(8 * DAY).unwrap());
    // The file without a more patient program shows that letters are forgotten, and when.
    let forgotten = async || alone.tasks.get(own_letter).await.unwrap().is_none();
    until("the end of a letter that no program keeps longer", 20 * SECOND, forgotten).await;
    tokio::time::sleep(3 * SECOND).await;
    for (stage, letter, _) in &shared {
        assert!(
            stage.tasks.get(*letter).await.unwrap().is_some(),
            "one program keeps letters for 90 days, and the letter was gone after 8"
        );
    }
    shared.iter().for_each(|(_, _, process)| process.clock.set(91 * DAY).unwrap());
    for (stage, letter, _) in &shared {
        let forgotten = async || stage.tasks.get(*letter).await.unwrap().is_none();
        until("the end of the letter after 90 days", 20 * SECOND, forgotten).await;
    }
}
