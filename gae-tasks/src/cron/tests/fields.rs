//! What five fields may hold, and what is said about others.

use super::*;

#[test]
fn what_is_written_in_several_ways_is_the_same() {
    for (one, other) in [
        ("0 9 * * mon-fri", "0 9 * * MON-FRI"),
        ("  0   9 * *\tMON-FRI ", "0 9 * * MON-FRI"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ] {
        assert_eq!(cron(one), cron(other));
        assert_eq!(cron(one).expression(), other);
    }
    assert_ne!(cron("@daily"), cron("@daily").in_zone("Europe/Paris").unwrap());
}

#[test]
fn every_form_of_a_field_is_read() {
    for schedule in [
        "* * * * *",
        "*/59 */23 */31 */12 */7",
        "09 00 01 1 00",
        "0,15,30-45/5 9-17/2,23 1-7,L JAN,JUL-SEP MON#1,FRI#5,SUNL",
        "5-5 1-1 * DEC sun-tue",
    ] {
        let read = cron(schedule);
        assert_eq!(read.expression(), schedule.to_ascii_uppercase());
        assert!(read.next_after(at("2026-01-01 00:00")).is_some());
    }
}

#[test]
fn what_cannot_be_read_is_said_with_the_fix() {
    for (schedule, problem) in [
        ("", "it is empty: write five fields, as in `0 9 * * MON-FRI`, or words"),
        ("*", "it has 1 field: write five"),
        ("* * * *", "it has 4 fields: write five, for minute, hour, day of the month, month"),
        ("0 0 9 * * *", "it has 6 fields: write five"),
        ("0 0 9 * * * 2026", "; seconds and years are not supported"),
        ("60 * * * *", "`60` is not a valid minute: write 0 to 59"),
        ("-1 * * * *", "a minute is missing: write 0 to 59, or `*` for all"),
        ("0 24 * * *", "`24` is not a valid hour: write 0 to 23"),
        ("0 JAN * * *", "`JAN` is not a valid hour: write 0 to 23"),
        ("0 99999999999 * * *", "`99999999999` is not a valid hour: write 0 to 23"),
        ("0 0 0 * *", "`0` is not a valid day of the month: write 1 to 31, or `L` for the last"),
        ("0 0 5L * *", "`5L` is not a valid day of the month"),
        ("0 0 * 13 *", "`13` is not a valid month: write 1 to 12, or `JAN` to `DEC`"),
        ("0 0 * JANUARY *", "`JANUARY` is not a valid month: did you mean `JAN`?"),
        ("0 0 * JUNI *", "`JUNI` is not a valid month: did you mean `JUN`?"),
        ("0 0 * * 8", "`8` is not a valid weekday: write 0 to 7, where 0 and 7 are Sunday, or"),
        ("0 0 * * MNDAY", "`MNDAY` is not a valid weekday: did you mean `MON`?"),
        ("0 0 * * +MON", "`+MON` is not a valid weekday: write 0 to 7"),
        ("*/0 * * * *", "the step of the minute `*/0` is not valid: write 1 to 59"),
        ("0 */24 * * *", "the step of the hour `*/24` is not valid: write 1 to 23"),
        ("*/x * * * *", "the step of the minute `*/X` is not valid: write 1 to 59"),
        ("5/10 * * * *", "the minute `5/10` has a step and no range: write `5-59/10`"),
        ("/10 * * * *", "a minute is missing: write 0 to 59, or `*` for all"),
        ("0 17-9 * * *", "the hour `17-9` ends before it begins: write `17-23,0-9`"),
        ("0 0 * * FRI-MON", "the weekday `FRI-MON` ends before it begins: write `FRI-7,0-MON`"),
        ("1,,2 * * * *", "a minute is missing: write 0 to 59, or `*` for all"),
        ("0 0 ? * MON", "the day of the month `?` is not supported: write `*`"),
        ("0 0 15W * *", "the day of the month `15W`, the nearest workday, is not supported"),
        ("0 0 LW * *", "the day of the month `LW`, the nearest workday, is not supported"),
        ("0 0 L-3 * *", "`L-3` is not supported: `L`, the last day, stands alone"),
        ("0 0 * * L", "the weekday `L` is of no weekday: write which, as in `FRIL`"),
        ("0 0 * * MON#6", "the weekday `MON#6` is not valid: write a weekday, `#` and 1 to 5"),
        ("0 0 * * #2", "the weekday `#2` is not valid: write a weekday, `#` and 1 to 5"),
        ("0 0 30 2 *", "it names a day that never comes: correct the day of the month, the month"),
        ("0 0 31 4,6,9,11 *", "it names a day that never comes"),
        ("0 0 */30 * MON#2", "it names a day that never comes"),
        ("@reboot", "`@reboot` is not a time: defer the task where the program starts"),
        ("@every 5m", "`@every 5m` is not supported: write words, as in `every 5 minutes`"),
        ("@dayly", "`@dayly` is not a schedule: did you mean `@daily`?"),
        ("@noon", "`@noon` is not a schedule: write `@hourly`, `@daily`"),
        ("TZ=Europe/Paris 0 9 * * *", "the time zone is not part of the fields: name it beside"),
    ] {
        let problems = problems(schedule);
        assert!(problems.len() == 1 && problems[0].contains(problem), "{schedule}: {problems:?}");
    }
    let long = problems(&"1,".repeat(251));
    assert!(long[0].starts_with("it has 502 bytes, and 500 are read"), "{long:?}");
}

#[test]
fn all_mistakes_are_said_at_once() {
    let problems = problems("60 24 0 13 8");
    assert_eq!(problems.len(), 5);
    let error = Cron::parse("60,61 * * * *").unwrap_err().to_string();
    assert_eq!(
        error,
        "the schedule `60,61 * * * *` is not valid: `60` is not a valid minute: write 0 to 59; \
         `61` is not a valid minute: write 0 to 59"
    );
}

#[test]
fn zones_are_names_of_the_database() {
    let daily = cron("@daily");
    for zone in ["Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC"] {
        assert_eq!(daily.clone().in_zone(zone).unwrap().zone(), zone);
    }
    for (zone, fix) in [
        ("Europe/Pariss", "did you mean `Europe/Paris`?"),
        ("europe/paris", "did you mean `Europe/Paris`?"),
        ("Paris", "did you mean `Europe/Paris`?"),
        ("New York", "did you mean `America/New_York`?"),
        ("", "write a name of the IANA database"),
        ("+02:00", "write a name of the IANA database"),
    ] {
        let error = daily.clone().in_zone(zone).unwrap_err();
        assert!(error.problems()[0].contains(fix), "{error}");
        assert_eq!(error.schedule(), "0 0 * * *");
    }
    assert!(CRON_TZDB_VERSION.starts_with("20"), "{CRON_TZDB_VERSION}");
}
