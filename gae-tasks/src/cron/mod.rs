//! Schedules: when a task is to be deferred again and again. They are pure; nothing here reads a
//! clock.

mod error;
#[cfg(feature = "yaml")]
mod file;
mod language;
mod local;
mod missed;
mod search;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use chrono_tz::Tz;

pub use self::error::CronError;
#[cfg(feature = "yaml")]
pub use self::file::{CronEntry, CronFile};
use self::language::{Expression, Rule};
pub(crate) use self::missed::LATE;
pub use self::missed::Missed;
use crate::time::Timestamp;

/// The version of the IANA time zone database that is compiled in, e.g. `2025b`.
pub const CRON_TZDB_VERSION: &str = chrono_tz::IANA_TZDB_VERSION;

/// A schedule in a time zone: a cron expression, or App Engine's words.
///
/// The guide [`cron`](crate::guide::cron) describes both languages, and what happens when clocks
/// are set.
///
/// `Display` writes the schedule in its canonical form, with the zone in parentheses if it is not
/// UTC; [`Cron::parse`] reads that as the same schedule. Two schedules are equal if their canonical
/// forms are. A clone is cheap; a schedule that is read takes about 5 kB, so keep thousands of them
/// as text.
///
/// ```
/// use gae_tasks::{Cron, Timestamp};
///
/// let cron = Cron::parse("0 9 * * MON-FRI")?.in_zone("Europe/Paris")?;
/// let (friday, monday): (Timestamp, Timestamp) =
///     ("2026-03-27T12:00:00Z".parse()?, "2026-03-30T07:00:00Z".parse()?);
/// assert_eq!(cron.next_after(friday), Some(monday)); // the clocks are set on the Sunday between
/// assert_eq!(cron.to_string(), "0 9 * * MON-FRI (Europe/Paris)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Cron {
    expression: Arc<Expression>,
    zone: Tz,
}

impl Cron {
    /// Reads a schedule: five cron fields, a nickname such as `@daily`, or App Engine's words, in
    /// UTC; or what `Display` writes, in its zone.
    ///
    /// # Errors
    /// [`CronError`] with everything that is wrong with the schedule, or that it never comes.
    pub fn parse(schedule: &str) -> Result<Self, CronError> {
        let in_zone = schedule.trim().strip_suffix(')').and_then(|text| text.rsplit_once(" ("));
        let (text, zone) = in_zone.unwrap_or((schedule, UTC));
        let expression = language::read(text);
        let expression = expression.map_err(|problems| CronError::new(schedule, problems))?;
        Self { expression: Arc::new(expression), zone: Tz::UTC }.in_zone(zone)
    }

    /// The schedule `every N minutes`, each interval beginning with the tick before.
    ///
    /// # Errors
    /// [`CronError`] if the interval is not a number of whole minutes, or is above 99,999 minutes.
    pub fn every(interval: Duration) -> Result<Self, CronError> {
        let (minutes, rest) = (interval.as_secs() / 60, interval.as_secs() % 60);
        if rest != 0 || interval.subsec_nanos() != 0 {
            let problem = "an interval has whole minutes: round it".to_owned();
            return Err(CronError::new(format!("every {interval:?}"), vec![problem]));
        }
        Self::parse(&format!("every {minutes} minutes"))
    }

    /// This schedule by the clocks of a zone of the IANA database, such as `Europe/Paris`, in place
    /// of UTC.
    ///
    /// # Errors
    /// [`CronError`] if there is no such zone. Names are case-sensitive.
    pub fn in_zone(mut self, zone: &str) -> Result<Self, CronError> {
        match language::zone(zone) {
            Ok(zone) => self.zone = zone,
            Err(problem) => return Err(CronError::new(self.expression(), vec![problem])),
        }
        Ok(self)
    }

    /// The schedule in its canonical form, without the zone.
    pub fn expression(&self) -> &str {
        &self.expression.text
    }

    /// The name of the time zone; `UTC` unless another one was given.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// Whether ticks are counted from the one before, as in `every 5 minutes`, in place of times of
    /// the day. Then [`next_after`](Self::next_after) takes the last tick, or the moment from which
    /// the schedule is in force.
    pub fn counts_from_last_tick(&self) -> bool {
        matches!(self.expression.rule, Rule::Interval(_))
    }

    /// The first tick after `after`; `None` from the year 5000 on.
    ///
    /// Moments before the year 1 count as its beginning.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = naive(after)?;
        let tick = search::next(&self.expression.rule, self.zone, after)?;
        let tick = Timestamp::from_micros(tick.and_utc().timestamp_micros());
        (tick < END).then_some(tick)
    }

    /// The last tick after `after` and not after `until`, without a look at all those before it.
    pub fn last_between(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let is_due = |tick: &Timestamp| *tick <= until;
        let mut tick = self.next_after(after).filter(is_due)?;
        if let Rule::Interval(minutes) = self.expression.rule {
            let length = i64::from(minutes) * 60_000_000;
            let past = (until.min(LAST).as_micros() - tick.as_micros()) / length;
            return Some(Timestamp::from_micros(tick.as_micros() + past * length));
        }
        // Nearly always it is the only one: a look is seldom late.
        let Some(second) = self.next_after(tick).filter(is_due) else { return Some(tick) };
        tick = second;
        // No tick is after `end`.
        let mut end = until.min(LAST);
        while tick < end {
            let half = (end.as_micros() - tick.as_micros()) / 2;
            let middle = Timestamp::from_micros(tick.as_micros() + half);
            match self.next_after(middle).filter(is_due) {
                Some(later) => tick = later,
                None => end = middle,
            }
        }
        Some(tick)
    }

    /// All ticks after `after` and not after `until`, in their order. They are found one by one, so
    /// bound their number with [`take`](Iterator::take).
    pub fn ticks_between(&self, after: Timestamp, until: Timestamp) -> CronTicks<'_> {
        CronTicks { cron: self, after, until }
    }
}

const UTC: &str = "UTC";

/// The second day of the year 1: all zones have begun it.
const BEGIN: Timestamp = Timestamp::from_micros(-62_135_510_400_000_000);

/// The beginning of the year 5000, up to which croner looks.
const END: Timestamp = Timestamp::from_micros(95_617_584_000_000_000);

/// The last moment at which there can be a tick.
const LAST: Timestamp = Timestamp::from_micros(END.as_micros() - 1);

/// The moment in UTC, if there can be a tick after it.
fn naive(moment: Timestamp) -> Option<NaiveDateTime> {
    let moment = moment.max(BEGIN);
    let time = DateTime::from_timestamp_micros(moment.as_micros()).filter(|_| moment < END)?;
    Some(time.naive_utc())
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expression())?;
        match self.zone() {
            UTC => Ok(()),
            zone => write!(f, " ({zone})"),
        }
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cron").field(&self.to_string()).finish()
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(schedule: &str) -> Result<Self, CronError> {
        Self::parse(schedule)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.expression() == other.expression() && self.zone == other.zone
    }
}

impl Eq for Cron {}

impl Hash for Cron {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expression().hash(state);
        self.zone.hash(state);
    }
}

/// Ticks of a schedule, from [`Cron::ticks_between`].
#[derive(Debug, Clone)]
pub struct CronTicks<'a> {
    cron: &'a Cron,
    after: Timestamp,
    until: Timestamp,
}

impl Iterator for CronTicks<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        let tick = self.cron.next_after(self.after).filter(|tick| *tick <= self.until)?;
        self.after = tick;
        Some(tick)
    }
}
