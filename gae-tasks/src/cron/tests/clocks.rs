//! Days on which clocks are set.

use super::*;

/// Schedule, zone, a moment in UTC, and the ticks that follow it.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

fn check(rows: &[Row]) {
    for (schedule, zone, after, expected) in rows {
        let cron = cron(schedule).in_zone(zone).unwrap();
        assert_eq!(ticks(&cron, after, expected.len()), *expected, "{cron}");
    }
}

const PARIS: &str = "Europe/Paris";
const NEW_YORK: &str = "America/New_York";
const LORD_HOWE: &str = "Australia/Lord_Howe";

#[test]
fn a_time_that_is_skipped_comes_right_after_the_gap() {
    check(&[
        // 01:00 in UTC is 03:00 in Paris, and 02:00 is skipped.
        (
            "30 2 * * *",
            PARIS,
            "2026-03-28 00:00",
            &["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"],
        ),
        (
            "0 2,14 * * *",
            PARIS,
            "2026-03-28 14:00",
            &["2026-03-29 01:00", "2026-03-29 12:00", "2026-03-30 00:00"],
        ),
        // Several times that are skipped are one tick, also together with one that is not.
        (
            "*/15 2 * * *",
            PARIS,
            "2026-03-28 12:00",
            &["2026-03-29 01:00", "2026-03-30 00:00", "2026-03-30 00:15"],
        ),
        (
            "0,30 2-3 * * *",
            PARIS,
            "2026-03-28 12:00",
            &["2026-03-29 01:00", "2026-03-29 01:30", "2026-03-30 00:00"],
        ),
        ("0 2 * * SUN", NEW_YORK, "2026-03-07 12:00", &["2026-03-08 07:00", "2026-03-15 06:00"]),
        // Half an hour is skipped.
        ("15 2 * * *", LORD_HOWE, "2026-10-03 00:00", &["2026-10-03 15:30", "2026-10-04 15:15"]),
        // A day is skipped, where the date line was moved.
        (
            "0 12 * * *",
            "Pacific/Apia",
            "2011-12-29 00:00",
            &["2011-12-29 22:00", "2011-12-30 10:00", "2011-12-30 22:00"],
        ),
    ]);
}

#[test]
fn a_time_that_is_repeated_comes_once() {
    check(&[
        ("30 2 * * *", PARIS, "2026-10-24 12:00", &["2026-10-25 00:30", "2026-10-26 01:30"]),
        ("30 2 * * *", PARIS, "2026-10-25 00:30", &["2026-10-26 01:30"]),
        ("30 2 * * *", PARIS, "2026-10-25 01:10", &["2026-10-26 01:30"]),
        (
            "15 1-3 * * *",
            PARIS,
            "2026-10-24 22:00",
            &["2026-10-24 23:15", "2026-10-25 00:15", "2026-10-25 02:15"],
        ),
        (
            "*/20 2 * * *",
            PARIS,
            "2026-10-24 12:00",
            &["2026-10-25 00:00", "2026-10-25 00:20", "2026-10-25 00:40", "2026-10-26 01:00"],
        ),
        ("30 1 * * *", NEW_YORK, "2026-10-31 12:00", &["2026-11-01 05:30", "2026-11-02 06:30"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04 00:00", &["2026-04-04 14:45", "2026-04-05 15:15"]),
    ]);
}

#[test]
fn all_hours_and_steps_of_hours_are_what_the_clock_shows() {
    check(&[
        (
            "0 * * * *",
            PARIS,
            "2026-03-28 23:30",
            &["2026-03-29 00:00", "2026-03-29 01:00", "2026-03-29 02:00"],
        ),
        (
            "0 */2 * * *",
            PARIS,
            "2026-03-28 22:30",
            &["2026-03-28 23:00", "2026-03-29 02:00", "2026-03-29 04:00"],
        ),
        (
            "*/30 * * * *",
            PARIS,
            "2026-10-24 23:45",
            &[
                "2026-10-25 00:00",
                "2026-10-25 00:30",
                "2026-10-25 01:00",
                "2026-10-25 01:30",
                "2026-10-25 02:00",
            ],
        ),
        (
            "0 */2 * * *",
            PARIS,
            "2026-10-24 23:30",
            &["2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 03:00"],
        ),
        // 02:10 has passed for the first time: 02:05 comes again before 04:05.
        ("5 */2 * * *", PARIS, "2026-10-25 00:10", &["2026-10-25 01:05", "2026-10-25 03:05"]),
        (
            "30 * * * *",
            NEW_YORK,
            "2026-11-01 05:00",
            &["2026-11-01 05:30", "2026-11-01 06:30", "2026-11-01 07:30"],
        ),
        (
            "*/15 * * * *",
            LORD_HOWE,
            "2026-04-04 14:30",
            &["2026-04-04 14:45", "2026-04-04 15:00", "2026-04-04 15:15", "2026-04-04 15:30"],
        ),
        ("0 * * * *", LORD_HOWE, "2026-10-03 14:00", &["2026-10-03 14:30", "2026-10-03 16:00"]),
    ]);
}

#[test]
fn intervals_in_a_part_of_the_day_are_elapsed_time() {
    check(&[
        (
            "every 1 hours from 01:00 to 05:00",
            PARIS,
            "2026-03-28 12:00",
            &[
                "2026-03-29 00:00",
                "2026-03-29 01:00",
                "2026-03-29 02:00",
                "2026-03-29 03:00",
                "2026-03-29 23:00",
            ],
        ),
        // From 00:00 in Paris, over the hour that is skipped, to 23:00.
        (
            "every 2 hours synchronized",
            PARIS,
            "2026-03-28 23:00",
            &["2026-03-29 01:00", "2026-03-29 03:00"],
        ),
        (
            "every 2 hours synchronized",
            PARIS,
            "2026-03-29 20:00",
            &["2026-03-29 21:00", "2026-03-29 22:00", "2026-03-30 00:00"],
        ),
        // All of it is skipped.
        (
            "every 10 minutes from 02:10 to 02:50",
            PARIS,
            "2026-03-28 12:00",
            &["2026-03-29 01:00", "2026-03-30 00:10"],
        ),
    ]);
}

#[test]
fn a_daily_time_comes_once_on_each_day() {
    let (begin, end) = (at("2015-01-01 12:00"), at("2025-01-01 12:00"));
    for zone in [
        PARIS,
        NEW_YORK,
        LORD_HOWE,
        // Where clocks are set at midnight.
        "Africa/Cairo",
        "America/Sao_Paulo",
        "Asia/Beirut",
    ] {
        for schedule in ["0 0 * * *", "30 0 * * *", "30 2 * * *"] {
            let cron = cron(schedule).in_zone(zone).unwrap();
            assert_eq!(cron.ticks_between(begin, end).count(), 3_653, "{cron}");
        }
    }
}

#[test]
fn every_hour_is_an_hour_after_the_one_before() {
    for zone in [PARIS, NEW_YORK, "Africa/Cairo", "America/Sao_Paulo"] {
        let cron = cron("@hourly").in_zone(zone).unwrap();
        let mut hour = at("2018-01-01 00:00");
        for tick in cron.ticks_between(hour, at("2019-01-01 00:00")) {
            assert_eq!(tick.since(hour), Duration::from_secs(3_600), "{cron} {hour}");
            hour = tick;
        }
        assert_eq!(hour, at("2019-01-01 00:00"));
    }
}
