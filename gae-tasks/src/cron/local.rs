//! What the clocks of a time zone show, also on the days on which they are set.
//!
//! Moments are those of UTC.

use chrono::{MappedLocalTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::{GapInfo, Tz, TzOffset};

/// What the clock shows at this moment.
pub(super) fn shown(zone: Tz, moment: NaiveDateTime) -> NaiveDateTime {
    moment + ahead(&zone.offset_from_utc_datetime(&moment))
}

/// The moments at which the clock shows this time, in their order: none if the clock is set past
/// it, two if the clock is set back to before it.
pub(super) fn moments(zone: Tz, time: NaiveDateTime) -> [Option<NaiveDateTime>; 2] {
    let moment = |offset: TzOffset| Some(time - ahead(&offset));
    match zone.offset_from_local_datetime(&time) {
        MappedLocalTime::None => [None, None],
        MappedLocalTime::Single(offset) => [moment(offset), None],
        MappedLocalTime::Ambiguous(first, second) => [moment(first), moment(second)],
    }
}

/// The first moment at which the clock shows this time, or a later one because it is set past it.
pub(super) fn first(zone: Tz, time: NaiveDateTime) -> Option<NaiveDateTime> {
    let [first, _] = moments(zone, time);
    first.or_else(|| GapInfo::new(&time, &zone)?.end.map(|end| end.naive_utc()))
}

/// If the clock will show the time of this moment again, because it is set back, how long after.
pub(super) fn shown_again_in(zone: Tz, moment: NaiveDateTime) -> Option<TimeDelta> {
    match moments(zone, shown(zone, moment)) {
        [Some(first), Some(second)] if first == moment => Some(second - first),
        _ => None,
    }
}

/// How far the clock is ahead of UTC.
fn ahead(offset: &TzOffset) -> TimeDelta {
    TimeDelta::seconds(i64::from(offset.fix().local_minus_utc()))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use chrono_tz::Europe::Paris;

    use super::*;

    fn at(day: u32, month: u32, hour: u32, minute: u32) -> NaiveDateTime {
        let day = NaiveDate::from_ymd_opt(2026, month, day).unwrap();
        day.and_hms_opt(hour, minute, 0).unwrap()
    }

    #[test]
    fn a_time_that_is_skipped_begins_when_the_clock_is_set() {
        let skipped = at(29, 3, 2, 30);
        assert_eq!(moments(Paris, skipped), [None, None]);
        assert_eq!(first(Paris, skipped), Some(at(29, 3, 1, 0)));
        assert_eq!(shown(Paris, at(29, 3, 1, 0)), at(29, 3, 3, 0));
    }

    #[test]
    fn a_time_that_is_repeated_has_two_moments() {
        let repeated = at(25, 10, 2, 30);
        let [first, second] = [at(25, 10, 0, 30), at(25, 10, 1, 30)];
        assert_eq!(moments(Paris, repeated), [Some(first), Some(second)]);
        assert_eq!(shown_again_in(Paris, first), Some(TimeDelta::hours(1)));
        for once in [second, at(25, 10, 2, 0), at(24, 10, 23, 59)] {
            assert_eq!(shown_again_in(Paris, once), None);
        }
    }
}
