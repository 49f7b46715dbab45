//! Random files, compared with what the rules of the format say of their fields.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use super::*;

/// The fields of a queue, as numbers.
#[derive(Debug, Clone)]
struct Stated {
    rate: u32,
    unit: (char, f64),
    bucket_size: Option<u32>,
    max_concurrent_requests: Option<u32>,
    task_retry_limit: Option<u32>,
    task_age_limit: Option<u32>,
    min_backoff_seconds: Option<u16>,
    max_backoff_seconds: Option<u16>,
    max_doublings: Option<u32>,
}

fn stated() -> impl Strategy<Value = Stated> {
    let units = prop::sample::select(vec![('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86400.0)]);
    let limits = (option::of(1..1_000_u32), option::of(1..u32::MAX));
    let ends = (option::of(0..u32::MAX), option::of(1..1_000_u32));
    let pauses = (option::of(0..5_000_u16), option::of(5_000..u16::MAX));
    ((1..1_000_u32, units), limits, ends, pauses, option::of(any::<u32>())).prop_map(
        |((rate, unit), limits, ends, pauses, max_doublings)| Stated {
            rate,
            unit,
            bucket_size: limits.0,
            max_concurrent_requests: limits.1,
            task_retry_limit: ends.0,
            task_age_limit: ends.1,
            min_backoff_seconds: pauses.0,
            max_backoff_seconds: pauses.1,
            max_doublings,
        },
    )
}

impl Stated {
    fn text(&self) -> String {
        let mut text = format!("- name: a\n  rate: {}/{}\n", self.rate, self.unit.0);
        let mut line = |indent: &str, key: &str, value: Option<String>| {
            text.extend(value.map(|value| format!("{indent}{key}: {value}\n")));
        };
        line("  ", "bucket_size", self.bucket_size.map(|size| size.to_string()));
        let concurrent = self.max_concurrent_requests.map(|requests| requests.to_string());
        line("  ", "max_concurrent_requests", concurrent);
        line("  ", "retry_parameters", Some("{}".to_owned()).filter(|_| self.is_silent()));
        line("  ", "retry_parameters", Some(String::new()).filter(|_| !self.is_silent()));
        let parameters = [
            ("task_retry_limit", self.task_retry_limit.map(|limit| limit.to_string())),
            ("task_age_limit", self.task_age_limit.map(|limit| format!("{limit}m"))),
            ("min_backoff_seconds", self.min_backoff_seconds.map(|pause| pause.to_string())),
            ("max_backoff_seconds", self.max_backoff_seconds.map(|pause| format!("{pause}.25"))),
            ("max_doublings", self.max_doublings.map(|doublings| doublings.to_string())),
        ];
        parameters.into_iter().for_each(|(key, value)| line("    ", key, value));
        text
    }

    /// Whether nothing is stated of retries.
    fn is_silent(&self) -> bool {
        self.task_retry_limit.is_none()
            && self.task_age_limit.is_none()
            && self.min_backoff_seconds.is_none()
            && self.max_backoff_seconds.is_none()
            && self.max_doublings.is_none()
    }
}

proptest! {
    #[test]
    fn each_field_means_what_the_reference_says(stated in stated()) {
        let config = queue(&stated.text());
        let rate = config.max_dispatches_per_second().unwrap();
        let exact = f64::from(stated.rate) / stated.unit.1;
        prop_assert!((rate - exact).abs() <= 0.5e-6 + 1e-12, "{rate} {exact}");
        prop_assert_eq!(config.max_burst_size(), stated.bucket_size.or(Some(5)));
        let concurrent = stated.max_concurrent_requests.or(Some(1_000));
        prop_assert_eq!(config.max_concurrent_dispatches(), concurrent);
        let retry = config.retry();
        let attempts = stated.task_retry_limit.map(|retries| retries + 1);
        prop_assert_eq!(retry.max_attempts(), attempts);
        let age = stated.task_age_limit.map(|minutes| Duration::from_secs(60 * u64::from(minutes)));
        prop_assert_eq!(retry.max_retry_duration(), age);
        let min = stated.min_backoff_seconds.map(|pause| Duration::from_secs(pause.into()));
        prop_assert_eq!(retry.min_backoff(), min.unwrap_or(Duration::from_millis(100)));
        let max = stated.max_backoff_seconds;
        let max = max.map(|pause| Duration::from_millis(1_000 * u64::from(pause) + 250));
        let default = Duration::from_secs(3_600).max(min.unwrap_or_default());
        prop_assert_eq!(retry.max_backoff(), max.unwrap_or(default));
        prop_assert_eq!(retry.max_doublings(), stated.max_doublings.unwrap_or(16));
        prop_assert_eq!(config.problem(), None);
    }

    #[test]
    fn no_text_is_a_panic(text in "[-a-z:,{}\\[\\]'\"&*!|>#%@` \t\r\n0-9/?~.é]{0,200}") {
        _ = text.parse::<Queues>();
    }
}
