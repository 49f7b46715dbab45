//! Latencies, recorded in a histogram of bounded size and printed as percentiles and bars.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The printed percentiles, each with the part of all values that lies below it.
pub(crate) const PERCENTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// The largest value that is distinguished, in microseconds: an hour.
const MOST: u64 = 3_600_000_000;

/// The width of the longest bar.
const WIDTH: u64 = 50;

/// Durations in microseconds, exact to one part in a thousand.
#[derive(Debug, Clone)]
pub(crate) struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_max(MOST, 3).expect("these bounds are in order"))
    }
}

impl Latency {
    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(MOST));
    }

    /// Adds the values of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// The percentiles, in milliseconds.
    pub(crate) fn percentiles(&self) -> [f64; PERCENTILES.len()] {
        PERCENTILES.map(|(_, part)| self.0.value_at_quantile(part) as f64 / 1000.0)
    }

    /// A histogram: one bar for each doubling.
    pub(crate) fn bars(&self) -> String {
        let first = self.0.min().max(1).ilog2();
        let last = self.0.max().max(1).ilog2();
        // Less than a microsecond counts as the shortest value.
        let from = |power| if power == first { 0 } else { 1_u64 << power };
        let counts = (first..=last)
            .map(|power| (power, self.0.count_between(from(power), (2_u64 << power) - 1)));
        let counts: Vec<_> = counts.collect();
        let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        let lines = counts.iter().map(|(power, count)| {
            let bar = "#".repeat(usize::try_from((count * WIDTH).div_ceil(most)).unwrap_or(0));
            let upper = (2_u64 << power) as f64 / 1000.0;
            format!("  below {upper:>10.3} ms {count:>9} {bar}").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_told_in_milliseconds() {
        let mut latency = Latency::default();
        for millis in 1..=100 {
            latency.record(Duration::from_millis(millis));
        }
        let wrong = latency
            .percentiles()
            .into_iter()
            .zip([50.0, 95.0, 99.0, 100.0])
            .map(|(told, is)| told - is);
        assert!(
            wrong.map(f64::abs).into_iter().all(|wrong| wrong < 0.2),
            "{:?}",
            latency.percentiles()
        );
    }

    #[test]
    fn every_value_is_in_one_bar() {
        let mut latency = Latency::default();
        for micros in [0, 1, 3, 4, 1000, 1023, 1024, 5000] {
            latency.record(Duration::from_micros(micros));
        }
        let bars = latency.bars();
        let counts = bars
            .lines()
            .map(|line| line.split_whitespace().nth(3).unwrap().parse::<u64>().unwrap());
        assert_eq!(counts.sum::<u64>(), 8, "{bars}");
    }
}
