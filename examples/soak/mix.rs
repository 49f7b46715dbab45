//! The mix of tasks: each task is drawn at random, with the way it is to end.

use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use fastrand::Rng;
use gae_tasks::Client;

use crate::ledger::{Fate, Ledger};
use crate::tasks::{carry, compute, fail, hand_on, note, refuse, retry};

/// The sorts of tasks, each with its part of a hundred.
const PARTS: [(Sort, u32); 9] = [
    (Sort::Plain, 35),
    (Sort::Named, 15),
    (Sort::Scheduled, 15),
    (Sort::Retried, 10),
    (Sort::Failing, 5),
    (Sort::Refused, 5),
    (Sort::Computing, 7),
    (Sort::Large, 3),
    (Sort::HandedOn, 5),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Plain,
    Named,
    Scheduled,
    Retried,
    Failing,
    Refused,
    Computing,
    Large,
    HandedOn,
}

impl Sort {
    fn draw(rng: &mut Rng) -> Self {
        let mut left = rng.u32(0..100);
        for (sort, part) in PARTS {
            match left.checked_sub(part) {
                Some(rest) => left = rest,
                None => return sort,
            }
        }
        Self::Plain
    }

    const fn fate(self) -> Fate {
        match self {
            Self::Failing | Self::Refused => Fate::Dies,
            _ => Fate::Ends,
        }
    }
}

/// Records a task, then defers it: the task may run before the answer arrives.
pub(crate) async fn defer(tasks: &Client, ledger: &Ledger, rng: &mut Rng) -> Result<()> {
    let sort = Sort::draw(rng);
    let number = ledger.open(sort.fate());
    let answer = store(tasks, sort, number, rng).await;
    if answer.is_err() {
        ledger.forget(number);
    }
    answer
}

async fn store(tasks: &Client, sort: Sort, number: u64, rng: &mut Rng) -> Result<()> {
    let now = SystemTime::now();
    let takes = Duration::from_millis(rng.u64(0..50));
    let call = match sort {
        Sort::Plain => note::defer(number, now, takes),
        Sort::Named => return named(tasks, number, takes).await,
        Sort::Scheduled => {
            let due = now + Duration::from_millis(rng.u64(100..5_000));
            note::defer(number, due, takes).at(due)
        }
        Sort::Retried => retry::defer(number, now, rng.u32(1..3)),
        // By its name the soak recognizes the task of a dead letter.
        Sort::Failing => fail::defer(number, now).named(letter_name(number)),
        Sort::Refused => refuse::defer(number, now).named(letter_name(number)),
        Sort::Computing => compute::defer(number, now, rng.u32(1_000..100_000)),
        Sort::Large => {
            let bytes: Vec<u8> = (0..rng.usize(16_000..64_000)).map(|_| rng.u8(..)).collect();
            let sum = checksum(&bytes);
            carry::defer(number, now, bytes, sum)
        }
        Sort::HandedOn => hand_on::defer(number, now),
    };
    call.on(tasks).await?;
    Ok(())
}

/// Defers a task twice; it must be stored once.
async fn named(tasks: &Client, number: u64, takes: Duration) -> Result<()> {
    let call =
        || note::defer(number, SystemTime::now(), takes).named(format!("note-{number}")).on(tasks);
    let (first, second) = (call().await?, call().await?);
    ensure!(first.created && !second.created, "the name of task {number} was taken twice");
    Ok(())
}

/// The name of a task that becomes a dead letter.
pub(crate) fn letter_name(number: u64) -> String {
    format!("letter-{number}")
}

/// The number of the task with this name.
pub(crate) fn letter_number(name: &str) -> Option<u64> {
    name.strip_prefix("letter-")?.parse().ok()
}

/// A check sum, by which the task sees whether bytes arrived unchanged.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_is_drawn() {
        assert_eq!(PARTS.iter().map(|(_, part)| part).sum::<u32>(), 100);
        let mut rng = Rng::with_seed(1);
        let drawn: Vec<_> = (0..1000).map(|_| Sort::draw(&mut rng)).collect();
        assert!(PARTS.iter().all(|(sort, _)| drawn.contains(sort)));
    }

    #[test]
    fn a_letters_name_tells_its_number() {
        assert_eq!(letter_number(&letter_name(42)), Some(42));
        assert_eq!(letter_number("note-42"), None);
    }
}
