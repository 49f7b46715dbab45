//! What was measured: each figure beside the one that it is compared with.

use std::fmt;
use std::time::Duration;

use gae_tasks::BoxError;
use gae_tasks_tests_postgres::raw::Rate;

/// What the ratio of a figure is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    /// The figure is printed to be read beside others.
    None,
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn is_missed(self, ratio: f64) -> bool {
        match self {
            Self::None => false,
            Self::AtLeast(bar) => ratio < bar,
            Self::AtMost(bar) => ratio > bar,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::AtLeast(bar) => write!(f, "at least {bar}"),
            Self::AtMost(bar) => write!(f, "at most {bar}"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    PerSecond,
    Seconds,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Seconds => format!("{:.1?}", Duration::from_secs_f64(value)),
        }
    }
}

/// A measured figure of this crate, and the one that it is compared with.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: String,
    bar: Bar,
    unit: Unit,
    ours: f64,
    other: f64,
}

impl Figure {
    /// Compares tasks in a second.
    pub(crate) fn rates(name: impl Into<String>, bar: Bar, ours: Rate, other: Rate) -> Self {
        let (ours, other) = (ours.per_second(), other.per_second());
        Self { name: name.into(), bar, unit: Unit::PerSecond, ours, other }
    }

    /// Compares times.
    pub(crate) fn times(
        name: impl Into<String>,
        bar: Bar,
        ours: Duration,
        other: Duration,
    ) -> Self {
        let (ours, other) = (ours.as_secs_f64(), other.as_secs_f64());
        Self { name: name.into(), bar, unit: Unit::Seconds, ours, other }
    }

    fn ratio(&self) -> f64 {
        self.ours / self.other
    }

    /// Returns the columns before the ratio.
    fn columns(&self) -> String {
        let (ours, other) = (self.unit.show(self.ours), self.unit.show(self.other));
        columns(&self.name, &self.bar.to_string(), &ours, &other)
    }
}

/// The figures of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Those of one name together.
    rows: Vec<Vec<Figure>>,
}

impl Table {
    /// Adds a figure, and prints it.
    pub(crate) fn add(&mut self, figure: Figure) {
        println!("  {}   {:.2}", figure.columns(), figure.ratio());
        let has_its_name = |row: &&mut Vec<Figure>| row[0].name == figure.name;
        match self.rows.iter_mut().find(has_its_name) {
            Some(row) => row.push(figure),
            None => self.rows.push(vec![figure]),
        }
    }

    /// Prints the medians, with the range of the ratios.
    pub(crate) fn print(&self) {
        println!("\nmedians of the rounds");
        println!("  {}   ratio", columns("", "bar", "ours", "other"));
        for row in &self.rows {
            let (ours, _) = median(row, |figure| figure.ours);
            let (other, _) = median(row, |figure| figure.other);
            let (ratio, [least, most]) = median(row, Figure::ratio);
            let missed = if row[0].bar.is_missed(ratio) { ", missed" } else { "" };
            let middle = Figure { ours, other, ..row[0].clone() };
            let columns = middle.columns();
            println!("  {columns}   {ratio:.2} ({least:.2} to {most:.2}){missed}");
        }
    }
}

fn columns(name: &str, bar: &str, ours: &str, other: &str) -> String {
    format!("{name:<56} {bar:<12} {ours:>10} {other:>10}")
}

/// Returns the median of a value, its least and its most.
fn median(row: &[Figure], of: impl Fn(&Figure) -> f64) -> (f64, [f64; 2]) {
    let mut values: Vec<_> = row.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], [values[0], values[values.len() - 1]])
}

/// Measures one after the other. Which of them is the first changes from round to round, so that
/// what one leaves behind on the server does not always hit the same.
pub(crate) async fn in_turn<T>(
    round: usize,
    ours: impl Future<Output = Result<T, BoxError>>,
    other: impl Future<Output = Result<T, BoxError>>,
) -> Result<(T, T), BoxError> {
    if round.is_multiple_of(2) {
        let ours = ours.await?;
        return Ok((ours, other.await?));
    }
    let other = other.await?;
    Ok((ours.await?, other))
}
