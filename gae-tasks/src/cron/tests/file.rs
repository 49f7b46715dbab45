//! App Engine's `cron.yaml`: every field, and what is said about mistakes.

use super::*;
use crate::queue::RetryConfig;

/// An entry of these lines, the first of which follows the dash.
fn entry(lines: &str) -> String {
    format!("cron:\n- {}\n", lines.replace('\n', "\n  "))
}

fn read(text: &str) -> CronFile {
    CronFile::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn mistakes(text: &str) -> Vec<String> {
    match CronFile::parse(text) {
        Ok(file) => panic!("{text}\nis read as {file:?}"),
        Err(error) => error.mistakes().to_vec(),
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

/// Whole files, each with its one mistake.
#[test]
fn a_mistake_in_a_file_has_its_place() {
    for (text, mistake) in [
        ("", "line 1, column 1: the file has no list of schedules: begin it with `cron:`"),
        ("jobs:\n", "line 1, column 1: unknown key `jobs`, did you mean `cron`?"),
        ("corn:\n", "line 1, column 1: unknown key `corn`, did you mean `cron`?"),
        (
            "cron:\nhandlers: 5\n",
            "line 2, column 1: unknown key `handlers`: the keys here are `cron`",
        ),
        ("cron: 5\n", "line 1, column 7: `cron` is not a list: begin each entry with `- `"),
        (
            "cron:\n- every 5 minutes\n",
            "line 2, column 3: an entry has keys: write `url: ..` and `schedule: ..`",
        ),
        (
            "cron:\n- 5: x\n  url: /_cb/deferred/a\n  schedule: '@daily'\n",
            "line 2, column 3: a key is not a text: write `url`, `schedule` and the like",
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
            "line 3, column 3: unknown key `scedule`, did you mean `schedule`?",
        ),
        (
            "path: /_cb/deferred/a\nschedule: every day 09:00",
            "line 2, column 3: unknown key `path`, did you mean `url`?",
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
            "line 3, column 13: `schedule` is not a text: put it in quotes",
        ),
        (
            "url: /_cb/deferred/a\nschedule:",
            "line 3, column 3: `schedule` has no value: write one, or remove it",
        ),
        (
            "url: [/_cb/deferred/a]\nschedule: every day 09:00",
            "line 2, column 8: `url` is not a text: write one line",
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
        ("tz: UTC", "line 4, column 3: unknown key `tz`, did you mean `timezone`?"),
        (
            "args: 5",
            "line 4, column 3: unknown key `args`: the keys here are `description`, `url`, \
             `schedule`, `timezone`, `target`, `retry_parameters`, `task`",
        ),
        ("description: 5", "line 4, column 16: `description` is not a text: put it in quotes"),
        (
            "retry_parameters: 3",
            "line 4, column 21: `retry_parameters` has keys: write `job_retry_limit: 3`",
        ),
        (
            "retry_parameters:\n  task_retry_limit: 3",
            "line 5, column 5: unknown key `task_retry_limit`, did you mean `job_retry_limit`?",
        ),
        (
            "retry_parameters:\n  job_retry_limit: 6",
            "line 5, column 22: `job_retry_limit` is not a whole number that it can be: write 0 \
             to 5",
        ),
        (
            "retry_parameters:\n  job_age_limit: 2 weeks",
            "line 5, column 20: `2 weeks` is not an age: write a number and `s`, `m`, `h` or \
             `d`, as in `2d`",
        ),
        (
            "retry_parameters:\n  job_age_limit: 60",
            "line 5, column 20: `job_age_limit` is not an age: write a number and `s`, `m`, `h` \
             or `d`, as in `2d`",
        ),
        (
            "retry_parameters:\n  min_backoff_seconds: -1",
            "line 5, column 26: `min_backoff_seconds` is not a time: write 0 or more",
        ),
        (
            "retry_parameters:\n  max_backoff_seconds: soon",
            "line 5, column 26: `max_backoff_seconds` is not a number: write one, as in `2.5`",
        ),
        (
            "retry_parameters:\n  max_doublings: 1.5",
            "line 5, column 20: `max_doublings` is not a whole number that it can be: write 0 to \
             4294967295",
        ),
        (
            "retry_parameters:\n  min_backoff_seconds: 60\n  max_backoff_seconds: 30",
            "line 4, column 3: `retry_parameters` has a `min_backoff` of 1 min, above its \
             `max_backoff` of 30 s: lower the first, or raise the second too",
        ),
    ] {
        assert_eq!(mistakes(&entry(&format!("{GOOD}\n{lines}"))), [mistake], "{lines}");
    }
}

/// What the YAML library finds; its words are not ours.
#[test]
fn what_is_no_yaml_has_its_line() {
    for (text, line) in [
        (entry(&format!("{GOOD}\nschedule: every day 09:00")), "line 4,"),
        (entry("url: /_cb/deferred/a\nschedule: */5 * * * *"), "line 3,"),
        (entry("url: [a\nschedule: every day 09:00"), "line "),
    ] {
        let mistakes = mistakes(&text);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(line), "{mistakes:?}");
        assert!(mistakes[0].contains("the file cannot be read as YAML: "), "{mistakes:?}");
    }
    let two = mistakes("cron:\n---\ncron:\n");
    assert!(two[0].contains("a `cron.yaml` is one document: remove the others"), "{two:?}");
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
";
    let error = CronFile::parse(text).unwrap_err();
    let places: Vec<_> =
        error.mistakes().iter().map(|one| one.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "line 4, column 13",
            "line 4, column 13",
            "line 5, column 13",
            "line 6, column 39",
            "line 6, column 57",
            "line 7, column 3",
            "line 7, column 3",
        ],
        "{error}"
    );
    let shown = error.to_string();
    assert!(shown.starts_with("the `cron.yaml` is not valid:\nline 4, column 13: `60`"), "{shown}");
}
