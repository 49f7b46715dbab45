//! Two versions of one program beside each other, on one SQLite file and behind one push queue, all
//! killed at random: every task runs on exactly what was meant, or waits and is reported.
//!
//! A round is about ten seconds. `ROLLING_ROUNDS=20` makes twenty, each on a new file or queue. The
//! seed is printed; `ROLLING_SEED=..` repeats it.
#![cfg(unix)]

mod account;
mod balancer;
mod gone;
mod meaning;
mod stage;
mod waiting;

use std::time::{Duration, Instant, SystemTime};

use gae_tasks_tests_push::rolling::{Random, Version};

use self::account::Account;
use self::stage::{Process, Stage, Verb};
use self::waiting::Waiting;

/// How long processes are killed and started again in a round.
const CHAOS: Duration = Duration::from_secs(5);

/// How long an instance is stopped: leases are of one second, and lost when another instance has
/// watched them for as long.
const FREEZE: Duration = Duration::from_secs(3);

/// How many tasks each version defers beside the chaos: each function's with plain and with unusual
/// values, twice.
const BACKLOG: u64 = 48;

const BOTH: [Version; 2] = [Version::Old, Version::New];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_file_every_task_runs_on_what_was_meant_or_waits() {
    rounds(async |random| round(Stage::on_a_file().await, random).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_one_push_queue_every_task_runs_on_what_was_meant_or_waits() {
    rounds(async |random| round(Stage::behind_a_queue().await, random).await).await;
}

async fn rounds(mut round: impl AsyncFnMut(&mut Random)) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect(name));
    let seed = number("ROLLING_SEED")
        .unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64);
    println!("seed {seed}: run again with ROLLING_SEED={seed}");
    let mut random = Random::new(seed);
    for _ in 0..number("ROLLING_ROUNDS").unwrap_or(1) {
        round(&mut random).await;
    }
}

/// Has both versions defer to one queue: all killed at random, then each alone, then both, one of
/// which is stopped for a while.
async fn round(stage: Stage, random: &mut Random) {
    let begun = Instant::now();
    let mut waited = Waiting::default();
    let kills = chaos(&stage, random).await;
    gone::defer(&stage, random).await;
    let mut turns = BOTH;
    turns.rotate_left(random.below(2));
    for version in turns {
        // While nobody runs them.
        backlog(&stage, random).await;
        let _alone = stage.start(version, Verb::Run);
        let left = stage.until_left(&[version]).await;
        stage.run_now(&left).await;
        waited.add(&stage.until_left(&[version]).await, &[version]);
    }
    backlog(&stage, random).await;
    let both = BOTH.map(|version| stage.start(version, Verb::Run));
    freeze(&stage, &both[random.below(2)], random).await;
    waited.add(&stage.until_left(&BOTH).await, &BOTH);
    let account = Account::read(&stage.ledger);
    account.assert_as_meant();
    waited.assert_each_case();
    println!("{account}; {waited}; {kills} kills; {:.1?}", begun.elapsed());
}

/// Kills and starts processes at random; returns the number of kills.
async fn chaos(stage: &Stage, random: &mut Random) -> u32 {
    let begun = Instant::now();
    let mut processes: [Option<Process>; 4] = Default::default();
    let mut kills = 0;
    while begun.elapsed() < CHAOS {
        let part = random.below(processes.len());
        match processes[part].take() {
            // As in a deploy: a signal asks the process to end.
            Some(mut process) if random.below(4) == 0 => {
                process.signal("-TERM");
                process.ended().await;
            }
            Some(process) => {
                drop(process);
                kills += 1;
            }
            None => {}
        }
        if random.below(3) > 0 {
            let (seed, count) = (random.number(), None);
            let verb = [Verb::Run, Verb::Defer { seed, count }][part % 2];
            processes[part] = Some(stage.start(BOTH[part / 2], verb));
        }
        tokio::time::sleep(random.millis(20..220)).await;
    }
    kills
}

/// Stops an instance in the middle of its work for longer than its leases, while both versions
/// defer.
async fn freeze(stage: &Stage, instance: &Process, random: &mut Random) {
    let pause = random.millis(30..200);
    let frozen = async {
        tokio::time::sleep(pause).await;
        instance.signal("-STOP");
        tokio::time::sleep(FREEZE).await;
        instance.signal("-CONT");
    };
    tokio::join!(frozen, backlog(stage, random));
}

/// Has both versions defer some of each function, and waits for that.
async fn backlog(stage: &Stage, random: &mut Random) {
    let verb = |seed| Verb::Defer { seed, count: Some(BACKLOG) };
    for mut producer in BOTH.map(|version| stage.start(version, verb(random.number()))) {
        assert!(producer.ended().await.success());
    }
}
