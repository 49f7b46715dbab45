//! What a check before a deploy has found, as text.

use std::fmt;

use super::report::{DeployReport, DeployRoute, DeployValues, DeployVerdict};
use crate::backend::Stats;

/// How many reasons of payloads that do not fit are shown for a route.
const REASONS: usize = 3;

impl fmt::Display for DeployReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.totals(f)?;
        for unread in &self.unread {
            write!(f, "\n  queue `{}` could not be read: {}", unread.queue, unread.reason)?;
        }
        let (problems, fine): (Vec<_>, Vec<_>) =
            self.routes.iter().partition(|route| route.is_problem());
        problems.into_iter().chain(fine).try_for_each(|route| write!(f, "\n  {route}"))
    }
}

impl DeployReport {
    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum: Stats = self.routes.iter().map(|route| route.stats).sum();
        let (open, stranded) = (sum.open(), self.stranded());
        let open_tasks = counted(open, "waiting or leased task");
        match (stranded, self.is_safe(), open) {
            (0, true, 0) => f.write_str("safe to deploy: no task waits")?,
            (0, true, _) => write!(f, "safe to deploy: {open_tasks} will run")?,
            (0, false, _) => {
                let is_open = self.routes.iter().any(|route| route.values.store_failed);
                let verb = if is_open { "may" } else { "will" };
                write!(f, "not known to be safe: {open_tasks} {verb} run")?;
            }
            _ => write!(
                f,
                "not safe to deploy: of {open_tasks}, {} will not run",
                grouped(stranded)
            )?,
        }
        let of = |is_meant: fn(&DeployVerdict) -> bool| {
            let meant = self.routes.iter().filter(|route| is_meant(&route.verdict));
            meant.map(|route| route.stats.open()).sum()
        };
        let values = || self.routes.iter().map(|route| &route.values);
        let unread =
            |values: &DeployValues| values.unread.iter().map(|(_, count)| count).sum::<u64>();
        let misfits: u64 = values().map(DeployValues::misfits).sum();
        let parts: [(u64, &str); 6] = [
            (of(|verdict| matches!(verdict, DeployVerdict::Resolves)), "resolved by name"),
            (of(|verdict| matches!(verdict, DeployVerdict::Upgrades { .. })), "upgraded"),
            (sum.dead, "dead"),
            (values().map(|values| values.read).sum(), "payloads read"),
            (misfits, if misfits == 1 { "does not fit" } else { "do not fit" }),
            (values().map(unread).sum(), "in a payload store not read"),
        ];
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "; {} {what}", grouped(count))?;
        }
        match self.unread.len() as u64 {
            0 => Ok(()),
            queues => write!(f, "; {} could not be read", counted(queues, "queue")),
        }
    }
}

/// How many tasks, of which kind, where, and what becomes of them.
impl fmt::Display for DeployRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, stats) = (self.route.kind(), self.stats);
        let open = stats.open();
        match open {
            0 => write!(f, "{} of `{kind}`", counted(stats.dead, "dead letter"))?,
            _ => write!(f, "{} `{kind}`", grouped(open))?,
        }
        if matches!(self.verdict, DeployVerdict::Resolves | DeployVerdict::Upgrades { .. }) {
            f.write_str(" of another shape")?;
        }
        write!(f, " (queue `{}`, shape {}", self.queue, self.route.shape())?;
        let states = [
            (stats.due, "due"),
            (self.future(), "in the future"),
            (stats.leased, "leased"),
            (stats.dead, "dead"),
        ];
        for (count, state) in states.into_iter().filter(|(count, _)| *count > 0 && open > 0) {
            write!(f, ", {} {state}", grouped(count))?;
        }
        f.write_str(if open > 0 { ") " } else { "), if replayed, " })?;
        write!(f, "{}{}", self.verdict, self.values)
    }
}

impl fmt::Display for DeployVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs => f.write_str("will run as they are"),
            Self::Resolves => f.write_str("will be resolved by name"),
            Self::Upgrades { upgrade, by_name } => {
                let how = if *by_name { ", by name" } else { "" };
                write!(f, "will go through the upgrade `{upgrade}`{how}")
            }
            Self::Strands { reason } => write!(f, "cannot run: {reason}"),
            Self::Unread => f.write_str("may run or not: their schema could not be read"),
        }
    }
}

impl DeployValues {
    /// The number of payloads that do not fit.
    fn misfits(&self) -> u64 {
        self.failed + self.failed_dead
    }
}

/// Follows a verdict.
impl fmt::Display for DeployValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.read > 0 {
            let verb = if self.misfits() == 1 { "does" } else { "do" };
            write!(
                f,
                "; of {} read, {} {verb} not fit",
                grouped(self.read),
                grouped(self.misfits())
            )?;
        }
        if self.failed_dead > 0 {
            write!(f, ", {} of them dead", grouped(self.failed_dead))?;
        }
        for (number, (reason, count)) in self.reasons.iter().take(REASONS).enumerate() {
            let before = if number == 0 { ": " } else { "; " };
            write!(f, "{before}{reason} ({})", grouped(*count))?;
        }
        match self.reasons.len().saturating_sub(REASONS) as u64 {
            0 => {}
            more => write!(f, "; and {}", counted(more, "other reason"))?,
        }
        self.unread.iter().try_for_each(|(reason, count)| {
            write!(f, "; {} in a payload store not read: {reason}", grouped(*count))
        })
    }
}

/// A number of things.
fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 12, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!([counted(1, "queue"), counted(2, "queue")], ["1 queue", "2 queues"]);
    }
}
