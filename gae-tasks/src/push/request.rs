//! The platform's description of an attempt: headers, which are not trusted to be well formed.

use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::response::ONE_MORE;
use super::verify::{HeaderFamily, Refused, only};
use crate::attributes::is_traceparent;
use crate::log;
use crate::queue::QueueName;
use crate::task::TaskName;
use crate::time::Timestamp;

/// The name of a header in each [`HeaderFamily`].
struct Names {
    cloud_tasks: HeaderName,
    app_engine: HeaderName,
}

macro_rules! names {
    ($name:literal) => {
        Names {
            cloud_tasks: HeaderName::from_static(concat!("x-cloudtasks-", $name)),
            app_engine: HeaderName::from_static(concat!("x-appengine-", $name)),
        }
    };
}

static RETRY_COUNT: Names = names!("taskretrycount");
static EXECUTION_COUNT: Names = names!("taskexecutioncount");
static PREVIOUS_RESPONSE: Names = names!("taskpreviousresponse");
static ETA: Names = names!("tasketa");
static TASK_NAME: Names = names!("taskname");
static QUEUE_NAME: Names = names!("queuename");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Names {
    const fn of(&self, family: HeaderFamily) -> &HeaderName {
        match family {
            HeaderFamily::CloudTasks => &self.cloud_tasks,
            HeaderFamily::AppEngine => &self.app_engine,
        }
    }
}

/// Refuses a request with two values of a header that describes its task: choosing one would be a
/// guess.
pub(super) fn check_once(headers: &HeaderMap, family: HeaderFamily) -> Result<(), Refused> {
    let names = [&QUEUE_NAME, &TASK_NAME, &RETRY_COUNT, &EXECUTION_COUNT, &PREVIOUS_RESPONSE, &ETA];
    names.into_iter().try_for_each(|names| only(headers, names.of(family)).map(drop))
}

/// One attempt as the platform describes it; missing or malformed values are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reported {
    /// The number of earlier attempts.
    pub(super) retries: u32,
    /// Whether the platform sent that number.
    pub(super) is_counted: bool,
    /// The number of earlier attempts that were answered, except with 5xx. Only HTTP targets count
    /// so; App Engine counts every answer.
    pub(super) executions: Option<u32>,
    /// The status of the answer to the previous attempt; some platforms send 0 if there was no
    /// answer.
    pub(super) previous: Option<u16>,
    pub(super) schedule_time: Option<Timestamp>,
    pub(super) traceparent: Option<String>,
}

impl Reported {
    /// Reads the headers of `family`.
    pub(super) fn by(headers: &HeaderMap, family: HeaderFamily) -> Self {
        let platform = |names| platform(headers, family, names);
        let retries = platform(&RETRY_COUNT).and_then(count);
        let counts_executions = family == HeaderFamily::CloudTasks;
        Self {
            retries: retries.unwrap_or(0),
            is_counted: retries.is_some(),
            executions: platform(&EXECUTION_COUNT).filter(|_| counts_executions).and_then(count),
            previous: platform(&PREVIOUS_RESPONSE).and_then(|status| status.parse().ok()),
            schedule_time: platform(&ETA).and_then(seconds),
            traceparent: headers
                .get(&TRACEPARENT)
                .and_then(text)
                .filter(|value| is_traceparent(value))
                .map(str::to_owned),
        }
    }

    /// Whether the previous delivery may have been refused for lack of room.
    pub(super) fn may_have_had_no_room(&self) -> bool {
        self.previous.map_or(self.retries > 0, |status| matches!(status, 503 | ONE_MORE))
    }
}

/// The status of the previous answer according to an unproven request, in either family.
pub(super) fn previous(headers: &HeaderMap) -> Option<u16> {
    [HeaderFamily::CloudTasks, HeaderFamily::AppEngine]
        .into_iter()
        .find_map(|family| platform(headers, family, &PREVIOUS_RESPONSE)?.parse().ok())
}

/// The queue's own name for the task, if it is a valid name for gae-tasks.
pub(super) fn task_name(headers: &HeaderMap, family: HeaderFamily) -> Option<TaskName> {
    platform(headers, family, &TASK_NAME).and_then(|name| TaskName::new(name).ok())
}

/// The queue that the platform names.
pub(super) fn queue_name(headers: &HeaderMap, family: HeaderFamily) -> Option<QueueName> {
    platform(headers, family, &QUEUE_NAME).and_then(|name| QueueName::new(name).ok())
}

fn platform<'a>(headers: &'a HeaderMap, family: HeaderFamily, names: &Names) -> Option<&'a str> {
    headers.get(names.of(family)).and_then(text)
}

fn text(value: &http::HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim)
}

/// Reads a number of attempts; larger numbers than `u32` saturate.
fn count(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX - 1))
}

/// Reads a moment in decimal seconds since 1970, with or without a fraction.
fn seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let whole: i64 = whole.parse().ok()?;
    Some(Timestamp::from_micros(whole.checked_mul(1_000_000)?.checked_add(micros)?))
}

/// Logs at debug level the headers that the platform does not log itself, without those that may
/// contain a secret, by their name or by `is_secret`.
pub(super) fn log_headers(parts: &Parts, is_secret: impl Fn(&HeaderName) -> bool) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let mut headers = String::new();
    for (name, value) in &parts.headers {
        if !is_reported(name.as_str()) || value.is_sensitive() || is_secret(name) {
            continue;
        }
        if !headers.is_empty() {
            headers.push_str(", ");
        }
        headers.push_str(name.as_str());
        headers.push_str(": ");
        headers.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    log::say(|| tracing::debug!(path = parts.uri.path(), headers, "a task's request"));
}

/// Headers that platforms write into their own request logs, or add in transit.
const LOGGED_ELSEWHERE: [&str; 11] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "forwarded",
    "host",
    "referer",
    "traceparent",
    "user-agent",
    "via",
    "x-cloud-trace-context",
];

/// Prefixes of such headers.
const FAMILIES_ELSEWHERE: [&str; 4] =
    ["x-appengine-", "x-cloudtasks-", "x-forwarded-", "x-google-"];

/// Parts of the names of headers with secrets.
const SECRET: [&str; 11] = [
    "assertion",
    "auth",
    "cookie",
    "credential",
    "jwt",
    "key",
    "pass",
    "secret",
    "session",
    "signature",
    "token",
];

fn is_reported(name: &str) -> bool {
    !LOGGED_ELSEWHERE.contains(&name)
        && !FAMILIES_ELSEWHERE.iter().any(|family| name.starts_with(family))
        && !SECRET.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn both_platforms_are_understood_however_their_headers_are_written() {
        let (http, app_engine) = (HeaderFamily::CloudTasks, HeaderFamily::AppEngine);
        let prefixes = [
            ("X-CloudTasks-", http),
            ("x-cloudtasks-", http),
            ("X-AppEngine-", app_engine),
            ("X-APPENGINE-", app_engine),
        ];
        for (prefix, family) in prefixes {
            let name = |name: &str| {
                http::HeaderName::from_bytes(format!("{prefix}{name}").as_bytes()).unwrap()
            };
            let mut headers = HeaderMap::new();
            headers.insert(name("TaskRetryCount"), HeaderValue::from_static("3"));
            headers.insert(name("TaskETA"), HeaderValue::from_static("1795357374.291664"));
            headers.insert(name("QueueName"), HeaderValue::from_static("emails"));
            headers.insert(name("TaskName"), HeaderValue::from_static("welcome-42"));
            let reported = Reported::by(&headers, family);
            assert_eq!(reported.retries, 3);
            assert_eq!(reported.schedule_time, Some(Timestamp::from_micros(1_795_357_374_291_664)));
            assert_eq!(queue_name(&headers, family).unwrap().as_str(), "emails");
            assert_eq!(task_name(&headers, family).unwrap().as_str(), "welcome-42");
        }
    }

    /// Only HTTP targets leave out answers with 5xx, as attempts have.
    #[test]
    fn executions_are_those_of_http_targets() {
        let (http, app_engine) =
            ("x-cloudtasks-taskexecutioncount", "x-appengine-taskexecutioncount");
        let headers = headers(&[(http, "4"), (app_engine, "5")]);
        assert_eq!(Reported::by(&headers, HeaderFamily::CloudTasks).executions, Some(4));
        assert_eq!(Reported::by(&headers, HeaderFamily::AppEngine).executions, None);
    }

    /// What follows the prefix of a family in the headers of an attempt.
    const NAMES: [&str; 6] = [
        "taskretrycount",
        "taskexecutioncount",
        "taskpreviousresponse",
        "tasketa",
        "taskname",
        "queuename",
    ];

    #[test]
    fn headers_of_the_other_family_are_not_read() {
        for (family, other) in
            [(HeaderFamily::CloudTasks, "x-appengine-"), (HeaderFamily::AppEngine, "x-cloudtasks-")]
        {
            let mut headers = HeaderMap::new();
            for name in NAMES {
                headers.insert(
                    HeaderName::try_from(format!("{other}{name}")).unwrap(),
                    HeaderValue::from_static("9"),
                );
            }
            assert_eq!(Reported::by(&headers, family), Reported::default());
            assert_eq!((task_name(&headers, family), queue_name(&headers, family)), (None, None));
        }
    }

    #[test]
    fn each_header_of_the_family_may_be_there_once() {
        for name in NAMES {
            let name = HeaderName::try_from(format!("x-cloudtasks-{name}")).unwrap();
            let mut headers = HeaderMap::new();
            headers.append(&name, HeaderValue::from_static("1"));
            check_once(&headers, HeaderFamily::CloudTasks).unwrap();
            headers.append(&name, HeaderValue::from_static("1"));
            let refused = check_once(&headers, HeaderFamily::CloudTasks).unwrap_err().to_string();
            assert!(refused.contains(name.as_str()), "{refused}");
            check_once(&headers, HeaderFamily::AppEngine).unwrap();
        }
    }

    #[test]
    fn what_is_garbled_counts_as_not_told() {
        let reported =
            |name, value| Reported::by(&headers(&[(name, value)]), HeaderFamily::CloudTasks);
        for value in ["", "-1", "+1", "1.5", "one", "0x1"] {
            assert_eq!(reported("x-cloudtasks-taskretrycount", value).retries, 0, "{value}");
        }
        for value in
            ["", "-1", "soon", "1e9", ".5", "1.-5", "99999999999999999999", "9223372036854775807"]
        {
            assert_eq!(reported("x-cloudtasks-tasketa", value).schedule_time, None, "{value}");
        }
        assert_eq!(reported("x-cloudtasks-taskretrycount", "99999999999").retries, u32::MAX - 1);
        assert_eq!(seconds("12"), Some(Timestamp::from_micros(12_000_000)));
        assert_eq!(seconds("12.1234567"), Some(Timestamp::from_micros(12_123_456)));
    }

    #[test]
    fn headers_with_secrets_are_never_told() {
        let secret = [
            "authorization",
            "x-serverless-authorization",
            "cookie",
            "x-queue-secret",
            "x-goog-iap-jwt-assertion",
        ];
        for name in secret.into_iter().chain(["x-appengine-taskname", "user-agent"]) {
            assert!(!is_reported(name), "{name}");
        }
        assert!(is_reported("content-type") && is_reported("x-shop"));
    }

    proptest! {
        #[test]
        fn no_header_panics(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            for name in ["taskretrycount", "tasketa", "taskname", "queuename"] {
                headers.insert(
                    http::HeaderName::try_from(format!("x-cloudtasks-{name}")).unwrap(),
                    value.clone(),
                );
            }
            headers.insert("traceparent", value);
            let family = HeaderFamily::CloudTasks;
            _ = (
                Reported::by(&headers, family),
                task_name(&headers, family),
                queue_name(&headers, family),
            );
        }
    }
}
