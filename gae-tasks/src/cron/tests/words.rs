//! App Engine's language: every documented form, and what is said about others.

use super::*;

#[test]
fn every_documented_form_has_a_canonical_one() {
    for (schedule, canonical) in [
        ("every 12 hours", "every 12 hours"),
        ("every 24 hours", "every 24 hours"),
        ("every 1 mins", "every 1 minutes"),
        ("every 5 minutes from 10:00 to 14:00", "every 5 minutes from 10:00 to 14:00"),
        ("every 2 hours from 9:30 to 3:00", "every 2 hours from 09:30 to 03:00"),
        ("every 2 hours synchronized", "every 2 hours synchronized"),
        ("every day 00:00", "every day 00:00"),
        ("every monday 09:00", "every mon 09:00"),
        ("every mon,wed 9:00", "every mon,wed 09:00"),
        ("every wed of month 8:00", "every wed 08:00"),
        ("every wed,fri of jan,jun 13:15", "every wed,fri of jan,jun 13:15"),
        ("2nd,third mon,wed,thu of march 17:00", "2nd,3rd mon,wed,thu of mar 17:00"),
        ("1st monday of sep,oct,nov 17:00", "1st mon of sep,oct,nov 17:00"),
        ("1st,3rd monday of month 15:30", "1st,3rd mon 15:30"),
        ("first sunday of quarter 00:00", "1st sun of jan,apr,jul,oct 00:00"),
        ("first sunday of 2nd,third month of quarter 00:00", {
            "1st sun of feb,mar,may,jun,aug,sep,nov,dec 00:00"
        }),
        ("1st day of month 10:00", "1st day 10:00"),
        ("1 of jan,april,july,oct 00:00", "1 of jan,apr,jul,oct 00:00"),
        ("15,1,8 of month 04:00", "1,8,15 of month 04:00"),
        ("Every  MONDAY , friday 09:00", "every mon,fri 09:00"),
    ] {
        let read = cron(schedule);
        assert_eq!(read.expression(), canonical);
        assert_eq!(cron(canonical).expression(), canonical);
    }
}

#[test]
fn days_are_those_of_five_fields() {
    for (schedule, fields) in [
        ("every day 00:00", "0 0 * * *"),
        ("every mon,wed 09:05", "5 9 * * MON,WED"),
        ("every sunday of jan 09:00", "0 9 * JAN SUN"),
        ("2nd,third mon of march 17:00", "0 17 * MAR MON#2,MON#3"),
        ("1st day of month 10:00", "0 10 1 * *"),
        ("1,8,15 of month 04:00", "0 4 1,8,15 * *"),
        ("31 of jan,feb 00:00", "0 0 31 1,2 *"),
        ("1 of 3rd month of quarter 12:00", "0 12 1 3,6,9,12 *"),
    ] {
        let (words, fields) = (cron(schedule), cron(fields));
        assert!(!words.counts_from_last_tick());
        assert_eq!(ticks(&words, "2026-01-01 00:00", 30), ticks(&fields, "2026-01-01 00:00", 30));
    }
}

#[test]
fn an_interval_begins_with_the_tick_before() {
    let cron = cron("every 90 minutes");
    assert!(cron.counts_from_last_tick());
    // On App Engine too, the result is a whole minute.
    let after: Timestamp = "2026-01-01T10:00:59.5Z".parse().unwrap();
    assert_eq!(cron.next_after(after), Some(at("2026-01-01 11:30")));
    assert_eq!(ticks(&cron, "2026-01-01 22:30", 2), ["2026-01-02 00:00", "2026-01-02 01:30"]);
    assert_eq!(
        cron.last_between(at("2026-01-01 00:00"), at("2026-01-01 04:29")),
        Some(at("2026-01-01 03:00"))
    );
    assert_eq!(Cron::every(Duration::from_secs(5_400)).unwrap(), cron);
    for (seconds, problem) in
        [(0, "write 1 or more"), (90, "round it"), (6_000_000, "write at most 99999")]
    {
        let error = Cron::every(Duration::from_secs(seconds)).unwrap_err();
        assert!(error.problems()[0].contains(problem), "{error}");
    }
}

#[test]
fn intervals_in_a_part_of_the_day_begin_with_it() {
    for (schedule, after, expected) in [
        (
            "every 7 minutes from 10:00 to 10:21",
            "2026-01-01 12:00",
            ["2026-01-02 10:00", "2026-01-02 10:07", "2026-01-02 10:14", "2026-01-02 10:21"],
        ),
        (
            "every 7 minutes from 10:00 to 10:20",
            "2026-01-01 10:07",
            ["2026-01-01 10:14", "2026-01-02 10:00", "2026-01-02 10:07", "2026-01-02 10:14"],
        ),
        // Over midnight.
        (
            "every 30 minutes from 23:00 to 00:15",
            "2026-01-01 22:00",
            ["2026-01-01 23:00", "2026-01-01 23:30", "2026-01-02 00:00", "2026-01-02 23:00"],
        ),
        (
            "every 6 hours synchronized",
            "2026-01-01 01:00",
            ["2026-01-01 06:00", "2026-01-01 12:00", "2026-01-01 18:00", "2026-01-02 00:00"],
        ),
        // Longer than the part, and than the day.
        (
            "every 3 hours from 10:00 to 11:00",
            "2026-01-01 00:00",
            ["2026-01-01 10:00", "2026-01-02 10:00", "2026-01-03 10:00", "2026-01-04 10:00"],
        ),
        (
            "every 48 hours from 10:00 to 10:00",
            "2026-01-01 00:00",
            ["2026-01-01 10:00", "2026-01-02 10:00", "2026-01-03 10:00", "2026-01-04 10:00"],
        ),
    ] {
        assert_eq!(ticks(&cron(schedule), after, 4), expected, "{schedule}");
    }
}

#[test]
fn what_cannot_be_read_is_said_with_the_fix() {
    for (schedule, problem) in [
        ("evry monday 09:00", "no schedule begins with `evry`: did you mean `every`?"),
        ("at noon", "no schedule begins with `at`: write five fields, as in `0 9 * * MON-FRI`"),
        ("jan 0 * * *", "no schedule begins with `jan`"),
        ("6th monday 09:00", "no schedule begins with `6th`"),
        ("every", "a weekday is missing: write one, as in `monday`"),
        ("every mnday 09:00", "`mnday` is not a weekday: did you mean `monday`?"),
        ("every month 00:00", "`month` is not a weekday: for each first day of a month write"),
        ("every monday", "a time is missing at the end: write it, as in `09:00`"),
        ("every monday 24:00", "`24:00` is not a time of day: write `00:00` to `23:59`"),
        ("every monday 9:5", "`9:5` is not a time of day"),
        ("every monday 9am", "`9am` is not a time of day"),
        ("every monday, 09:00", "`09:00` is not a weekday: write its name, as in `monday`"),
        ("every monday of sept 09:00", "`sept` is not a month: did you mean `sep"),
        ("every monday of 09:00", "`09:00` is not a month: write its name, as in `february`"),
        ("every monday 09:00 UTC", "nothing can follow `every mon 09:00`: remove `utc`"),
        ("1st monday of 4th month of quarter 09:00", "`4th` is not a month of a quarter"),
        ("1st monday of 1st month 09:00", "`of 1st` lacks `month of quarter`: write it"),
        ("1st,6th monday 09:00", "`6th` is not an ordinal: write `1st` to `5th`"),
        ("32 of jan 00:00", "`32` is not a day of a month: write 1 to 31"),
        ("0 of month 00:00", "`0` is not a day of a month: write 1 to 31"),
        ("30 of feb 00:00", "it names a day that never comes"),
        ("every 5", "`every 5` has no unit: write `minutes` or `hours`"),
        ("every 5 seconds", "`seconds` is not a unit of an interval: write `minutes` or `hours`"),
        ("every 2 days", "`days` is not a unit of an interval: write hours, as in `every 24"),
        ("every 0 minutes", "an interval of 0 has no end: write 1 or more"),
        ("every 100000 minutes", "the interval 100000 is too long: write at most 99999"),
        ("every 99999999999 hours", "the interval 99999999999 is too long"),
        ("every 5 minutes from 10:00", "`from 10:00` has no end: write `from 10:00 to 14:00`"),
        ("every 5 minutes from", "a time is missing after `from`: write it, as in `09:00`"),
        ("every 5 minutes from 10:00 to 14", "`14` is not a time of day"),
        ("every 7 hours synchronized", "`every 7 hours synchronized` does not divide a day"),
        ("every 5 minutes synchronized from 10:00 to 14:00", "`synchronized` and `from .. to ..`"),
        ("every 5 minutes from 10:00 to 14:00 synchronized", "`synchronized` and `from .. to ..`"),
        ("every 5 minutes on monday", "nothing can follow `every 5 minutes`: remove `on`"),
    ] {
        let problems = problems(schedule);
        assert!(problems.len() == 1 && problems[0].starts_with(problem), "{problems:?}");
    }
}
