//! Decides whether something grows without bound: compares the medians of the first and last third.

use std::time::Duration;

use crate::sample::{MIB, Sample, mib};

/// Samples before this time are not judged: caches fill, and the first tombstones are made.
const WARM_UP: Duration = Duration::from_secs(60);

/// The least number of samples in a third.
const LEAST: usize = 5;

/// What is judged, and how much it may grow in addition to a quarter.
type Series = (&'static str, fn(&Sample) -> Option<u64>, u64);

const SERIES: [Series; 4] = [
    ("memory of the spared worker", |sample| sample.spared, 8 * MIB),
    ("memory of the soak itself", |sample| sample.own, 8 * MIB),
    ("the queue file", |sample| sample.file, 16 * MIB),
    ("the queue file's log", |sample| sample.log, 16 * MIB),
];

/// The verdict on one series.
#[derive(Debug)]
pub(crate) struct Growth {
    pub(crate) text: String,
    pub(crate) is_too_much: bool,
}

/// Judges all series that have enough samples.
pub(crate) fn judge(samples: &[Sample]) -> Vec<Growth> {
    SERIES.iter().map(|series| one(samples, series)).collect()
}

fn one(samples: &[Sample], (what, value, allowance): &Series) -> Growth {
    let warm = samples.iter().filter(|sample| sample.at > WARM_UP);
    let values: Vec<_> = warm.filter_map(value).collect();
    let third = values.len() / 3;
    if third < LEAST {
        return Growth {
            text: format!("{what}: not judged, too few samples after the warm-up"),
            is_too_much: false,
        };
    }
    let (first, last) = (median(&values[..third]), median(&values[values.len() - third..]));
    let most = first + first / 4 + allowance;
    let [first_told, last_told, most_told] = [first, last, most].map(|bytes| mib(Some(bytes)));
    let text = format!(
        "{what}: {first_told} MiB, then {last_told} MiB; at most {most_told} MiB are accepted"
    );
    Growth { text, is_too_much: last > most }
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of ten seconds with these sizes of the queue file and nothing else.
    fn samples(count: u64, size: fn(u64) -> u64) -> Vec<Sample> {
        let sample = |number| Sample {
            at: Duration::from_secs(10 * number),
            spared: None,
            others: None,
            own: None,
            file: Some(size(number)),
            log: None,
        };
        (1..=count).map(sample).collect()
    }

    fn grows(samples: &[Sample]) -> bool {
        judge(samples).iter().any(|growth| growth.is_too_much)
    }

    #[test]
    fn a_leak_is_found() {
        assert!(grows(&samples(180, |number| number * MIB)));
    }

    #[test]
    fn what_is_steady_or_only_large_at_first_does_not_grow() {
        assert!(!grows(&samples(180, |number| 100 * MIB + number % 7 * MIB)));
        assert!(!grows(&samples(180, |number| 100 * MIB / number)));
    }

    #[test]
    fn a_warm_up_is_not_growth() {
        assert!(!grows(&samples(180, |number| if number <= 6 { 0 } else { 100 * MIB })));
    }

    #[test]
    fn a_short_soak_says_that_it_judges_nothing() {
        let growth = judge(&samples(12, |number| number * number * 100 * MIB));
        assert!(
            growth.iter().all(|growth| growth.text.contains("not judged") && !growth.is_too_much)
        );
    }
}
