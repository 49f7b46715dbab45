//! What holds for every schedule.

use proptest::prelude::*;

use super::*;

const SCHEDULES: &[&str] = &[
    "* * * * *",
    "*/7 * * * *",
    "0 * * * *",
    "5 */2 * * *",
    "0 9-17 * * MON-FRI",
    "30 2 * * *",
    "*/15 1-3 * * *",
    "0 0 * * *",
    "59 23 * * *",
    "0 2 13 * FRI",
    "0 12 L * *",
    "0 12 29 2 *",
    "0 12 * * SUN#5",
    "0 2 */2 MAR,OCT SUNL",
    "every 5 minutes from 10:00 to 14:00",
    "every 35 minutes from 22:10 to 03:00",
    "every 2 hours synchronized",
    "1st monday of mar,nov 02:30",
    "1,15 of month 00:00",
];

const ZONES: &[&str] = &[
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/St_Johns",
];

fn schedules() -> impl Strategy<Value = Cron> {
    let parts = (prop::sample::select(SCHEDULES), prop::sample::select(ZONES));
    parts.prop_map(|(schedule, zone)| cron(schedule).in_zone(zone).unwrap())
}

/// Moments of the years 1900 to 2100.
fn moments() -> impl Strategy<Value = Timestamp> {
    (-2_208_988_800_000_000..4_102_444_800_000_000_i64).prop_map(Timestamp::from_micros)
}

/// Moments of hours in which some clocks are set, as few others are.
fn near_changes() -> impl Strategy<Value = Timestamp> {
    let changes = [
        "2026-03-29 01:00",
        "2026-10-25 01:00",
        "2026-03-08 07:00",
        "2026-11-01 06:00",
        "2026-04-04 15:00",
        "2026-10-03 15:30",
        "2023-04-27 22:00",
        "2011-12-30 10:00",
    ];
    let near = (prop::sample::select(changes.to_vec()), -10_800_000_000..10_800_000_000_i64);
    near.prop_map(|(change, off)| Timestamp::from_micros(at(change).as_micros() + off))
}

proptest! {
    #[test]
    fn a_tick_is_after_the_moment_and_none_is_between(
        cron in schedules(),
        after in prop_oneof![moments(), near_changes()],
        part in 0.0..0.999,
    ) {
        let next = cron.next_after(after).unwrap();
        prop_assert!(next > after);
        let between = after.plus(next.since(after).mul_f64(part));
        prop_assert_eq!(cron.next_after(between), Some(next));
        prop_assert_eq!(cron.next_after(next.minus(Duration::from_micros(1))), Some(next));
        prop_assert!(cron.next_after(next).unwrap() > next);
    }

    #[test]
    fn a_later_moment_has_no_earlier_tick(
        cron in schedules(),
        moment in near_changes(),
        later in 0..100_000_000_000_i64,
    ) {
        let later = Timestamp::from_micros(moment.as_micros() + later);
        prop_assert!(cron.next_after(moment) <= cron.next_after(later));
    }

    #[test]
    fn the_last_tick_is_that_of_all(
        cron in schedules(),
        after in near_changes(),
        length in 0..20_000_000_000_i64,
    ) {
        let until = Timestamp::from_micros(after.as_micros() + length);
        let last = cron.ticks_between(after, until).last();
        prop_assert_eq!(cron.last_between(after, until), last);
    }

    #[test]
    fn the_last_tick_of_a_long_time_is_the_last(cron in schedules(), after in moments()) {
        let until = after.plus(Duration::from_secs(10 * 366 * 86_400));
        let last = cron.last_between(after, until).unwrap();
        prop_assert!(after < last && last <= until);
        prop_assert!(cron.next_after(last).unwrap() > until);
    }

    #[test]
    fn no_moment_makes_it_panic(cron in schedules(), a in any::<i64>(), b in any::<i64>()) {
        let (a, b) = (Timestamp::from_micros(a), Timestamp::from_micros(b));
        prop_assert!(cron.next_after(a).is_none_or(|next| next > a));
        let last = cron.last_between(a, b);
        prop_assert!(last.is_none_or(|last| a < last && last <= b));
    }

    #[test]
    fn a_schedule_is_read_back(cron in schedules()) {
        let read: Cron = cron.to_string().parse().unwrap();
        prop_assert_eq!(&read, &cron);
        prop_assert_eq!(read.to_string(), cron.to_string());
        let now = at("2026-01-01 00:00");
        prop_assert_eq!(read.next_after(now), cron.next_after(now));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-*/0-9a-zA-Z,#@:()?+ ]{0,40}") {
        if let Ok(cron) = Cron::parse(&text) {
            prop_assert_eq!(Cron::parse(&cron.to_string()), Ok(cron));
        }
    }

    #[test]
    fn no_words_make_it_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "every", "1st", "5", "31", "mon", "day", "of", "month", "quarter", "feb", "from",
                "to", "synchronized", "10:00", "23:59", "hours", "minutes", ",", "*",
            ]),
            0..8,
        ),
    ) {
        if let Ok(cron) = Cron::parse(&words.join(" ")) {
            prop_assert_eq!(Cron::parse(&cron.to_string()), Ok(cron));
        }
    }
}
