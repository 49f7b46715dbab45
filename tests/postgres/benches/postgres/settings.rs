//! What the command line asks for.

use gae_tasks::BoxError;

/// The rows that are measured in rounds, by their names.
const ROWS: [&str; 9] = [
    "enqueue",
    "defer_many",
    "in_tx",
    "complete_in",
    "drain",
    "per_task",
    "end_to_end",
    "latency",
    "leases",
];

/// The row that is measured once, after the others.
const STEADY: &str = "steady";

/// What is measured, how often and where. Not `Debug`, because the URL may have a password.
pub(crate) struct Settings {
    /// The rows that are measured in rounds.
    pub(crate) rows: Vec<String>,
    pub(crate) rounds: usize,
    /// The server; a throwaway one by default.
    pub(crate) url: Option<String>,
    /// How many tasks wait in the row `leases`, and how many are scheduled for later.
    pub(crate) deep: usize,
    /// The steady load, if it is wanted.
    pub(crate) steady: Option<Load>,
}

/// A steady load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) minutes: usize,
    /// For how many of the minutes a snapshot is held open.
    pub(crate) snapshot: usize,
    /// Tasks in a second.
    pub(crate) rate: usize,
}

impl Settings {
    /// Reads the arguments: rows, rounds and a URL in this order, and settings among them.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub(crate) fn read(arguments: Vec<String>) -> Result<Self, BoxError> {
        let mut load = Load { minutes: 30, snapshot: 0, rate: 2_000 };
        let (mut deep, mut placed) = (5_000_000, Vec::new());
        for argument in arguments {
            match argument.split_once('=') {
                Some(("deep", value)) => deep = number(value)?,
                Some(("minutes", value)) => load.minutes = number(value)?,
                Some(("snapshot", value)) => load.snapshot = number(value)?,
                Some(("rate", value)) => load.rate = number(value)?,
                _ => placed.push(argument),
            }
        }
        let mut placed = placed.into_iter();
        let mut rows = named(placed.next().as_deref().unwrap_or("all"))?;
        let rounds = placed.next().map_or(Ok(3), |value| number(&value))?;
        let url = placed.next();
        let steady = rows.iter().any(|row| row == STEADY).then_some(load);
        rows.retain(|row| row != STEADY);
        Ok(Self { rows, rounds, url, deep, steady })
    }
}

/// Returns the error for a row that does not exist.
pub(crate) fn no_row(name: &str) -> BoxError {
    format!("no row is called `{name}`: use `all`, `{STEADY}`, or some of {}", ROWS.join(","))
        .into()
}

fn named(rows: &str) -> Result<Vec<String>, BoxError> {
    if rows == "all" {
        return Ok(ROWS.map(str::to_owned).to_vec());
    }
    let rows: Vec<_> = rows.split(',').map(str::to_owned).collect();
    let unknown = rows.iter().find(|row| *row != STEADY && !ROWS.contains(&row.as_str()));
    match unknown {
        Some(unknown) => Err(no_row(unknown)),
        None => Ok(rows),
    }
}

fn number(value: &str) -> Result<usize, BoxError> {
    let number = value.parse::<usize>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("`{value}` is to be a number above zero").into())
}
