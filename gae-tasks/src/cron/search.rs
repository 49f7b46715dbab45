//! Finds the first tick of a schedule after a moment.
//!
//! Moments are those of UTC, of years in which every time zone can be computed.

use chrono::{NaiveDateTime, TimeDelta, Timelike as _};
use chrono_tz::Tz;

use super::language::{Fields, Rule, Window};
use super::local;

/// The first tick after this moment, if there is one.
pub(super) fn next(rule: &Rule, zone: Tz, after: NaiveDateTime) -> Option<NaiveDateTime> {
    match rule {
        Rule::Fields(fields) if fields.follows_the_clock() => shown(fields, zone, after),
        Rule::Fields(fields) => meant(fields, zone, after),
        Rule::Interval(minutes) => interval(*minutes, after),
        Rule::Window(window) => in_window(window, zone, after),
    }
}

/// The first moment at which the clock shows one of the times. A time that is skipped has none, one
/// that is repeated has two.
fn shown(fields: &Fields, zone: Tz, after: NaiveDateTime) -> Option<NaiveDateTime> {
    let time = local::shown(zone, after);
    let ahead = shown_from(fields, zone, after, time);
    // What the clock shows before it is set back is passed again, up to this time and beyond.
    let again = local::shown_again_in(zone, after)
        .and_then(|length| shown_from(fields, zone, after, time - length));
    [ahead, again].into_iter().flatten().min()
}

/// The first moment after `after` at which the clock shows one of the times after `time`.
fn shown_from(
    fields: &Fields,
    zone: Tz,
    after: NaiveDateTime,
    mut time: NaiveDateTime,
) -> Option<NaiveDateTime> {
    loop {
        time = fields.next(time)?;
        let mut moments = local::moments(zone, time).into_iter().flatten();
        if let Some(tick) = moments.find(|moment| *moment > after) {
            return Some(tick);
        }
    }
}

/// The moment at which one of the times is first shown, or at which the clock is set past it.
fn meant(fields: &Fields, zone: Tz, after: NaiveDateTime) -> Option<NaiveDateTime> {
    // Later times have later or equal moments, so none of those before this one counts.
    let mut time = local::shown(zone, after);
    loop {
        time = fields.next(time)?;
        let tick = local::first(zone, time)?;
        if tick > after {
            return Some(tick);
        }
    }
}

/// The whole minute at which an interval ends that begins at `after`.
fn interval(minutes: u32, after: NaiveDateTime) -> Option<NaiveDateTime> {
    let end = after.checked_add_signed(TimeDelta::minutes(i64::from(minutes)))?;
    end.with_second(0)?.with_nanosecond(0)
}

/// The days that are looked at: the window of the day before may go on, that of this day may be
/// over, and days are skipped where a zone changes its side of the date line.
const DAYS: u32 = 5;

/// The first tick in the window of a day. Intervals are counted in elapsed time.
fn in_window(window: &Window, zone: Tz, after: NaiveDateTime) -> Option<NaiveDateTime> {
    let mut day = local::shown(zone, after).date().pred_opt()?;
    for _ in 0..DAYS {
        let next_day = day.succ_opt()?;
        let from = local::first(zone, day.and_time(window.from))?;
        let next_from = local::first(zone, next_day.and_time(window.from))?;
        let to = match window.to {
            None => next_from,
            Some(to) if to < window.from => local::first(zone, next_day.and_time(to))?,
            Some(to) => local::first(zone, day.and_time(to))?,
        };
        let tick = counted(from, window.minutes, after);
        if tick <= to && tick < next_from {
            return Some(tick);
        }
        day = next_day;
    }
    None
}

/// The first moment after `after` that is a number of intervals after `from`.
fn counted(from: NaiveDateTime, minutes: u32, after: NaiveDateTime) -> NaiveDateTime {
    if after < from {
        return from;
    }
    let seconds = i64::from(minutes) * 60;
    let past = (after - from).num_seconds() / seconds;
    from + TimeDelta::seconds((past + 1) * seconds)
}
