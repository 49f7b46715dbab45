//! Which days are named: ends of months and years, leap days, weekdays of a month.

use super::*;

fn check(schedule: &str, after: &str, expected: &[&str]) {
    assert_eq!(ticks(&cron(schedule), after, expected.len()), *expected, "{schedule}");
}

#[test]
fn months_and_years_end() {
    check("59 23 31 12 *", "2025-12-31 23:58", &["2025-12-31 23:59", "2026-12-31 23:59"]);
    check("0 0 1 1 *", "2026-01-01 00:00", &["2027-01-01 00:00", "2028-01-01 00:00"]);
    let of_31_days = ["2026-03-31 00:00", "2026-05-31 00:00", "2026-07-31 00:00"];
    check("0 0 31 * *", "2026-01-31 00:00", &of_31_days);
    check("0 0 L * *", "2026-01-31 12:00", &["2026-02-28 00:00", "2026-03-31 00:00"]);
    check("0 0 L 2 *", "2026-03-01 00:00", &["2027-02-28 00:00", "2028-02-29 00:00"]);
    check("0 0 15,L 2 *", "2028-02-15 00:00", &["2028-02-29 00:00", "2029-02-15 00:00"]);
}

#[test]
fn leap_days_are_those_of_the_calendar() {
    // The year 2100 is not a leap year.
    check("0 0 29 2 *", "2096-02-29 00:00", &["2104-02-29 00:00", "2108-02-29 00:00"]);
    check("0 0 29 2 *", "1996-03-01 00:00", &["2000-02-29 00:00"]);
}

#[test]
fn weekdays_are_counted_in_a_month() {
    let fifth = ["2026-03-30 12:00", "2026-06-29 12:00", "2026-08-31 12:00"];
    check("0 12 * * MON#5", "2026-01-01 00:00", &fifth);
    let last = ["2026-01-30 12:00", "2026-02-27 12:00", "2026-03-27 12:00"];
    check("0 12 * * FRIL", "2026-01-01 00:00", &last);
    check("0 12 * * 5L", "2026-01-01 00:00", &last);
    let second = ["2026-03-09 17:00", "2026-03-11 17:00", "2026-03-16 17:00", "2026-03-18 17:00"];
    check("0 17 * 3 MON#2,MON#3,WED#2,WED#3", "2026-01-01 00:00", &second);
}

#[test]
fn sunday_is_0_and_7() {
    let sundays = ["2026-01-04 12:00", "2026-01-11 12:00"];
    for schedule in ["0 12 * * 0", "0 12 * * 7", "0 12 * * SUN", "0 12 * * 7,0"] {
        check(schedule, "2026-01-01 00:00", &sundays);
    }
    let weekend = ["2026-01-03 12:00", "2026-01-04 12:00", "2026-01-10 12:00"];
    for schedule in ["0 12 * * 6-7", "0 12 * * SAT-SUN", "0 12 * * 0,6"] {
        check(schedule, "2026-01-01 00:00", &weekend);
    }
    check("0 12 * * 7#1", "2026-01-01 00:00", &["2026-01-04 12:00", "2026-02-01 12:00"]);
    check("0 12 * * 7L", "2026-01-01 00:00", &["2026-01-25 12:00", "2026-02-22 12:00"]);
}

#[test]
fn either_day_field_matches_if_both_name_days() {
    let friday_13th = ["2026-02-13 12:00", "2026-02-20 12:00", "2026-02-27 12:00"];
    check("0 12 13 * FRI", "2026-02-12 00:00", &friday_13th);
    check("0 12 13 * FRI", "2026-04-11 00:00", &["2026-04-13 12:00", "2026-04-17 12:00"]);
}

#[test]
fn both_day_fields_match_if_one_begins_with_a_star() {
    let odd_mondays = ["2026-01-05 12:00", "2026-01-19 12:00", "2026-02-09 12:00"];
    check("0 12 */2 * MON", "2026-01-01 00:00", &odd_mondays);
    let first_sundays = ["2026-01-04 12:00", "2026-02-01 12:00", "2026-03-01 12:00"];
    check("0 12 1-7 * */7", "2026-01-01 00:00", &first_sundays);
}

#[test]
fn moments_far_away_have_ticks_or_none() {
    let yearly = cron("@yearly").in_zone("Europe/Paris").unwrap();
    let first = yearly.next_after(Timestamp::from_micros(i64::MIN)).unwrap();
    assert!(first.to_string().starts_with("0001-12-31T"), "{first}");
    let last = yearly.next_after(at("4998-06-01 00:00")).unwrap();
    assert_eq!(last, at("4998-12-31 23:00"));
    assert_eq!(yearly.next_after(at("4999-12-31 23:00")), None);
    assert_eq!(yearly.next_after(Timestamp::MAX), None);
    assert_eq!(yearly.last_between(at("4998-06-01 00:00"), Timestamp::MAX), {
        Some(at("4999-12-31 23:00"))
    });
    for schedule in ["every 5 minutes", "every 2 hours synchronized"] {
        assert_eq!(cron(schedule).next_after(Timestamp::MAX), None);
        assert_eq!(cron(schedule).next_after(at("4999-12-31 23:59")), None);
    }
}
