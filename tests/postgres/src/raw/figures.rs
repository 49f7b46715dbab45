//! What a loop measures.

use std::fmt;
use std::time::Duration;

/// How long a number of tasks took.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// The number of tasks.
    pub tasks: usize,
    /// The time of all of them.
    pub time: Duration,
}

impl Rate {
    /// Returns the number of tasks in a second.
    pub fn per_second(self) -> f64 {
        self.tasks as f64 / self.time.as_secs_f64()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} tasks/s", self.per_second())
    }
}

/// How long each of many repetitions took.
#[derive(Clone, Debug)]
pub struct Times {
    sorted: Vec<Duration>,
}

impl Times {
    /// Takes the times of all repetitions, in any order.
    ///
    /// # Panics
    ///
    /// Without any.
    pub fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        Self { sorted: times }
    }

    /// Returns the number of repetitions.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// Returns the time that half of them did not take longer than.
    pub fn p50(&self) -> Duration {
        self.percentile(50)
    }

    /// Returns the time that 99 of 100 did not take longer than.
    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.sorted[(self.sorted.len() * percent).div_ceil(100) - 1]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms", ms(self.p50()), ms(self.p99()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_times_themselves() {
        let times = |range: std::ops::RangeInclusive<u64>| {
            Times::new(range.rev().map(Duration::from_millis).collect())
        };
        assert_eq!(times(1..=100).p50(), Duration::from_millis(50));
        assert_eq!(times(1..=100).p99(), Duration::from_millis(99));
        assert_eq!(times(7..=7).p99(), Duration::from_millis(7));
    }
}
