//! App Engine's `cron.yaml`: every field, and what is said about mistakes.

use super::*;
use crate::error::Error;
use crate::queue::RetryConfig;

/// An entry of these lines, the first of which follows the dash.
fn entry(lines: &str) -> String {
    format!("cron:\n- {}\n", lines.replace('\n', "\n  "))
}

fn read(text: &str) -> CronFile {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn mistakes(text: &str) -> Vec<String> {
    match text.parse::<CronFile>() {
        Err(Error::ConfigFile { file: "cron.yaml", mistakes }) => {
            mistakes.iter().map(ToString::to_string).collect()
        }
        other => panic!("{text}\nis read as {other:?}"),
    }
}

const GOOD: &str = "url: /_cb/deferred/shop.mail/send\nschedule: every 5 minutes";

#[test]
fn every_field_is_read() {
    let file = read(
        r#"
# Comments are allowed.
cron:
- description: "daily summary job"
  url: /_cb/deferred/shop.reports/daily
  schedule: every 24 hours
- description: monday morning mailout
  url: /mail/weekly
  task: shop.mail/send_weekly
  schedule: every monday 09:00
  timezone: Australia/NSW
  target: beta
  retry_parameters:
    job_retry_limit: 3
    job_age_limit: 1.5d
    min_backoff_seconds: 2.5
    max_backoff_seconds: 60
    max_doublings: 4
- url: '/_cb/deferred/send'
  schedule: "*/5 9-17 * * MON-FRI"
  retry_parameters:
"#,
    );
    let [daily, weekly, often] = file.entries() else { panic!("{file:?}") };
    assert_eq!((daily.kind().as_str(), daily.line()), ("shop.reports/daily", 4));
    assert_eq!(daily.cron(), &cron("every 24 hours"));
    assert_eq!((daily.description(), daily.target()), (Some("daily summary job"), None));
    assert_eq!(daily.retry(), None);
    assert_eq!((weekly.kind().as_str(), weekly.line()), ("shop.mail/send_weekly", 7));
    assert_eq!(weekly.cron().to_string(), "every mon 09:00 (Australia/NSW)");
    assert_eq!(weekly.target(), Some("beta"));
    let retry = RetryConfig::new()
        .with_max_attempts(Some(4))
        .with_max_retry_duration(Some(Duration::from_secs(36 * 3_600)))
        .with_min_backoff(Duration::from_millis(2_500))
        .with_max_backoff(Duration::from_secs(60))
        .with_max_doublings(4);
    assert_eq!(weekly.retry(), Some(&retry));
    assert_eq!((often.kind().as_str(), often.description()), ("send", None));
    assert_eq!(often.cron(), &cron("*/5 9-17 * * MON-FRI"));
    // App Engine's default is five retries.
    assert_eq!(often.retry(), Some(&RetryConfig::new().with_max_attempts(Some(6))));
}

#[test]
fn a_file_without_schedules_is_empty() {
    for text in ["cron:", "cron: []\n", "# nothing\ncron:\n"] {
        assert!(read(text).entries().is_empty());
    }
}

#[test]
fn ages_have_units() {
    for (age, seconds) in [("90s", 90), ("5m", 300), ("2h", 7_200), ("1d", 86_400)] {
        let text = entry(&format!("{GOOD}\nretry_parameters:\n  job_age_limit: {age}"));
        let file = read(&text);
        let retry = file.entries()[0].retry().unwrap();
        assert_eq!(retry.max_retry_duration(), Some(Duration::from_secs(seconds)));
    }
}

#[test]
fn the_prefix_of_urls_can_be_another() {
    let text = entry("url: /tasks/shop.mail/send\nschedule: every 5 minutes");
    for prefix in ["/tasks", "/tasks/"] {
        let file = CronFile::parse_with_prefix(&text, prefix).unwrap();
        assert_eq!(file.entries()[0].kind().as_str(), "shop.mail/send");
    }
    let file = CronFile::parse_with_prefix(&text, "").unwrap();
    assert_eq!(file.entries()[0].kind().as_str(), "tasks/shop.mail/send");
    assert!(CronFile::parse_with_prefix(&text, "/task").is_err());
}

#[test]
fn what_yaml_takes_for_a_number_is_a_text_too() {
    let file = read(&entry("task: 1\nschedule: '@daily'\ndescription: 5\ntarget: 2.0"));
    let [entry] = file.entries() else { panic!("{file:?}") };
    assert_eq!((entry.kind().as_str(), entry.description()), ("1", Some("5")));
    assert_eq!(entry.target(), Some("2.0"));
}

/// Whole files, each with its one mistake.
#[test]
fn a_mistake_in_a_file_has_its_place() {
    for (text, mistake) in [
        ("", "line 1, column 1: the file has no list of schedules: begin it with `cron:`"),
        ("{}", "line 1, column 1: the file has no list of schedules: begin it with `cron:`"),
        ("- url: /a\n", "line 1, column 1: a `cron.yaml` is written as lines of `key: value`"),
        ("jobs:\n", "line 1, column 1: `jobs` is not a key of a `cron.yaml`: write `cron`"),
        ("crons:\n", "line 1, column 1: `crons` is not a key of a `cron.yaml`: write `cron`"),
        (
            "queue:\n- name: a\n",
            "line 1, column 1: `queue` is not a key of a `cron.yaml`: this is a `queue.yaml`",
        ),
        (
            "cron:\nhandlers: 5\n",
            "line 2, column 1: `handlers` is not a key of a `cron.yaml`, which has `cron`",
        ),
        ("cron: 5\n", "line 1, column 7: `cron` is not a list: begin each entry with `- `"),
        (
            "cron:\n- every 5 minutes\n",
            "line 2, column 3: an entry is written as lines of `key: value`",
        ),
        (
            "cron:\n- 5: x\n  url: /_cb/deferred/a\n  schedule: '@daily'\n",
            "line 2, column 3: `5` is not a key of an entry, which has `description`, `url`, \
             `schedule`, `timezone`, `target`, `retry_parameters`, `task`",
        ),
    ] {
        assert_eq!(mistakes(text), [mistake], "{text}");
    }
}

/// Entries, the first line of which is the second of the file.
#[test]
fn a_mistake_in_an_entry_has_its_place() {
    for (lines, mistake) in [
        ("url: /_cb/deferred/a", "line 2, column 3: the entry has no `schedule`: add it"),
        ("schedule: '@daily'", "line 2, column 3: the entry has no `url`: add it, or `task`"),
        (
            "url: /_cb/deferred/a\nscedule: every day 09:00",
            "line 3, column 3: `scedule` is not a key of an entry: write `schedule`",
        ),
        (
            "path: /_cb/deferred/a\nschedule: every day 09:00",
            "line 2, column 3: `path` is not a key of an entry: write `url`",
        ),
        (
            "url: /_cb/deferred/a\nschedule: every 5 minuts",
            "line 3, column 13: `minuts` is not a unit of an interval: write `minutes` or `hours`",
        ),
        (
            "url: /_cb/deferred/a\nschedule: \"0 25 * * *\"",
            "line 3, column 13: `25` is not a valid hour: write 0 to 23",
        ),
        (
            "url: /_cb/deferred/a\nschedule: 5",
            "line 3, column 13: it has 1 field: write five, for minute, hour, day of the month, \
             month and weekday, as in `0 9 * * MON-FRI`",
        ),
        (
            "url: /_cb/deferred/a\nschedule:",
            "line 3, column 3: `schedule` has no value: write one, or remove the key",
        ),
        (
            "url: [/_cb/deferred/a]\nschedule: every day 09:00",
            "line 2, column 8: `url` has one value in its line: no list, no further keys",
        ),
        (
            "url: /tasks/summary\nschedule: every day 09:00",
            "line 2, column 8: the url `/tasks/summary` names no task: write \
             `/_cb/deferred/MODULE.PATH/FUNCTION`, or the task's kind beside it as \
             `task: MODULE.PATH/FUNCTION`",
        ),
        (
            "url: /_cb/deferred/a?b=1\nschedule: every day 09:00",
            "line 2, column 8: `a?b=1` is not a valid task kind: use segments of letters, \
             digits, `.`, `_` and `-`, joined by `/`",
        ),
        (
            "task: a b\nschedule: every day 09:00",
            "line 2, column 9: `a b` is not a valid task kind: use segments of letters, digits, \
             `.`, `_` and `-`, joined by `/`",
        ),
    ] {
        assert_eq!(mistakes(&entry(lines)), [mistake], "{lines}");
    }
}

/// Lines after those of a good entry, from the fourth of the file on.
#[test]
fn a_mistake_in_a_setting_has_its_place() {
    for (lines, mistake) in [
        (
            "timezone: Europe/Pariss",
            "line 4, column 13: `Europe/Pariss` is not a time zone: did you mean `Europe/Paris`?",
        ),
        ("tz: UTC", "line 4, column 3: `tz` is not a key of an entry: write `timezone`"),
        (
            "args: 5",
            "line 4, column 3: `args` is not a key of an entry, which has `description`, `url`, \
             `schedule`, `timezone`, `target`, `retry_parameters`, `task`",
        ),
        ("schedule: every day 09:00", "line 4, column 3: `schedule` is set twice: remove one"),
        (
            "description: ''",
            "line 4, column 16: `description: ` is empty: write a text, or remove the key",
        ),
        (
            "target:\n- beta",
            "line 5, column 5: `target` has one value in its line: no list, no further keys",
        ),
        (
            "job_retry_limit: 3",
            "line 4, column 3: `job_retry_limit` is not a key of an entry: it belongs under \
             `retry_parameters`",
        ),
        (
            "retry_parameters: 3",
            "line 4, column 21: `retry_parameters` is written as lines of `key: value`",
        ),
    ] {
        assert_eq!(mistakes(&entry(&format!("{GOOD}\n{lines}"))), [mistake], "{lines}");
    }
}

/// Lines of `retry_parameters`, from the fifth of the file on.
#[test]
fn a_mistake_in_a_setting_of_retries_has_its_place() {
    for (lines, mistake) in [
        (
            "task_retry_limit: 3",
            "line 5, column 5: `task_retry_limit` is not a key of `retry_parameters`: write \
             `job_retry_limit`",
        ),
        (
            "job_retry_limit: 6",
            "line 5, column 22: `job_retry_limit: 6` is too many: use 0 to 5, as on App Engine",
        ),
        (
            "job_age_limit: 2 weeks",
            "line 5, column 20: `job_age_limit: 2 weeks` is not an age: use a number with its \
             unit, `s`, `m`, `h` or `d`: `90s`, `1.5h`, `2d`",
        ),
        (
            "job_age_limit: 60",
            "line 5, column 20: `job_age_limit: 60` has no unit: use a number with its unit, `s`, \
             `m`, `h` or `d`: `90s`, `1.5h`, `2d`",
        ),
        (
            "min_backoff_seconds: -1",
            "line 5, column 26: `min_backoff_seconds: -1` is not a number of seconds: use one \
             without a unit, such as `0.5` or `3600`",
        ),
        (
            "min_backoff_seconds: 60s\nmax_backoff_seconds: 0.5",
            "line 5, column 26: `min_backoff_seconds: 60s` is not a number of seconds: use one \
             without a unit, such as `0.5` or `3600`",
        ),
        (
            "max_doublings: 1.5",
            "line 5, column 20: `max_doublings: 1.5` is not a whole number: use 0 or more",
        ),
        (
            "min_backoff_seconds: 60\nmax_backoff_seconds: 30",
            "line 5, column 26: `retry_parameters` has a `min_backoff` of 1 min, above its \
             `max_backoff` of 30 s: lower the first, or raise the second too",
        ),
        (
            "max_backoff_seconds: 0.5",
            "line 5, column 26: `retry_parameters` has a `min_backoff` of 1 s, above its \
             `max_backoff` of 500 ms: lower the first, or raise the second too",
        ),
    ] {
        let settings = lines.replace('\n', "\n  ");
        let text = entry(&format!("{GOOD}\nretry_parameters:\n  {settings}"));
        assert_eq!(mistakes(&text), [mistake], "{lines}");
    }
}

/// What the YAML library finds; its words are not ours.
#[test]
fn what_is_no_yaml_has_its_line() {
    for (text, begins, problem) in [
        (entry("url: [a\nschedule: every day 09:00"), "line ", "this is not YAML ("),
        (entry("url: 'a\nschedule: every day 09:00"), "line ", "this is not YAML ("),
        (entry("url: a\nschedule: */5 * * * *"), "line 3, column 13: ", "in quotes if it begins"),
        (entry("url: a\nschedule: * 9 * * *"), "line 3, column 13: ", "in quotes if it begins"),
        ("cron:\n---\ncron:\n".to_owned(), "line 2, column 1: ", "the file has a second part"),
    ] {
        let mistakes = mistakes(&text);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(begins), "{mistakes:?}");
        assert!(mistakes[0].contains(problem), "{mistakes:?}");
    }
}

/// A reader that takes a step down for each level would end the program.
#[test]
fn a_file_that_is_nested_deeply_is_refused() {
    let (dashes, brackets) = ("- ".repeat(100_000), ("[".repeat(100), "]".repeat(100)));
    for text in [
        dashes.clone(),
        format!("cron:\n{dashes}"),
        format!("cron:\n- url: {}{}\n", brackets.0, brackets.1),
    ] {
        let mistakes = mistakes(&text);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].contains("lists and keys are nested too deeply"), "{mistakes:?}");
    }
}

/// A search for the zone that is meant takes as long as the text, for each of the zones.
#[test]
fn a_long_text_is_not_compared_with_every_zone() {
    let mistakes = mistakes(&entry(&format!("{GOOD}\ntimezone: {}", "Z".repeat(900_000))));
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("line 4, column 13: `ZZZ"));
}

#[test]
fn all_mistakes_are_said_at_once() {
    let text = "
cron:
- url: /_cb/deferred/a
  schedule: 60 24 * * *
  timezone: Mars/Base
  retry_parameters: {job_retry_limit: 9, max_doublings: -1}
- urll: /_cb/deferred/b
- description: c
";
    let mistakes = mistakes(text);
    let places: Vec<_> = mistakes.iter().map(|one| one.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "line 4, column 13",
            "line 4, column 13",
            "line 5, column 13",
            "line 6, column 39",
            "line 6, column 57",
            "line 7, column 3",
            "line 8, column 3",
            "line 8, column 3",
        ],
        "{mistakes:?}"
    );
    let shown = CronFile::parse(text).unwrap_err().to_string();
    let begin = "`cron.yaml` has 8 mistakes:\n  - line 4, column 13: `60`";
    assert!(shown.starts_with(begin), "{shown}");
}
