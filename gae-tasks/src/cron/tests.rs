//! Schedules against tables, against a second implementation, and in general.

mod clocks;
mod days;
mod fields;
#[cfg(feature = "yaml")]
mod file;
mod properties;
mod second;
mod words;

use super::*;

fn cron(schedule: &str) -> Cron {
    Cron::parse(schedule).unwrap_or_else(|error| panic!("{error}"))
}

/// The moment of a text such as `2026-03-29 01:00`, in UTC.
fn at(text: &str) -> Timestamp {
    format!("{text}:00Z").parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The first ticks after a moment, in the form that [`at`] reads.
fn ticks(schedule: &Cron, after: &str, count: usize) -> Vec<String> {
    let ticks = schedule.ticks_between(at(after), Timestamp::MAX).take(count);
    let text = |tick: Timestamp| tick.to_string().replace('T', " ").replace(":00Z", "");
    ticks.map(text).collect()
}

/// What is wrong with a schedule.
fn problems(schedule: &str) -> Vec<String> {
    match Cron::parse(schedule) {
        Ok(cron) => panic!("`{schedule}` is read as `{cron}`"),
        Err(error) => {
            assert_eq!(error.schedule(), schedule);
            error.problems().to_vec()
        }
    }
}
