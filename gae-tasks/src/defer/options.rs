//! The options that few tasks have: target, headers, own retry settings, and what makes them
//! unique.

use std::fmt;

use super::unique::Unique;
use crate::attributes::{Target, problem_of_header};
use crate::error::Error;
use crate::queue::RetryConfig;

/// The most bytes of all headers of a task; Cloud Tasks accepts less than 80 KB, including its own.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The options, as given.
#[derive(Default)]
pub(super) struct Options {
    pub(super) retry: Option<RetryConfig>,
    pub(super) target: Option<Target>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) unique: Option<Unique>,
}

impl Options {
    /// Adds a header, replacing a header of the same name.
    pub(super) fn header(&mut self, name: String, value: String) {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
        self.headers.push((name, value));
    }

    /// Checks that the values of these options are valid.
    pub(super) fn check(&self, kind: &str) -> Result<(), Error> {
        let refused =
            |option, problem| Err(Error::InvalidOption { kind: kind.to_owned(), option, problem });
        if let Some(problem) = self.retry.as_ref().and_then(RetryConfig::problem) {
            return refused(".retry(..)", problem);
        }
        if let Some(problem) = self.target.as_ref().and_then(problem_of_target) {
            return refused(".target(..)", problem);
        }
        if let Some(problem) =
            self.headers.iter().find_map(|(name, value)| problem_of_header(name, value))
        {
            return refused(".header(..)", format!("is refused: {problem}"));
        }
        let bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_HEADER_BYTES {
            let problem = format!(
                "has {bytes} bytes in all its headers, but at most {MAX_HEADER_BYTES} are allowed"
            );
            return refused(".header(..)", problem);
        }
        Ok(())
    }
}

/// App Engine's rule for names of services and versions: they become a part of a host name.
fn problem_of_target(target: &Target) -> Option<String> {
    let is_name = |name: &&str| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&name.len())
            && name.bytes().all(allowed)
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    let mut names = std::iter::once(target.service.as_str()).chain(target.version.as_deref());
    let bad = names.find(|name| !is_name(name))?;
    Some(format!("names `{bad}`: use 1 to 63 lower-case letters, digits or, inside, hyphens"))
}

/// Shows only the names of headers.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { retry, target, headers, unique } = self;
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Options")
            .field("retry", retry)
            .field("target", target)
            .field("headers", &names)
            .field("unique", unique)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(options: Options) -> String {
        options.check("shop/send").map_or_else(|error| error.to_string(), |()| String::new())
    }

    fn header(name: &str, value: &str) -> String {
        let mut options = Options::default();
        options.header(name.to_owned(), value.to_owned());
        refusal(options)
    }

    fn target(service: &str, version: Option<&str>) -> String {
        let target = Target { service: service.to_owned(), version: version.map(str::to_owned) };
        refusal(Options { target: Some(target), ..Options::default() })
    }

    #[test]
    fn retries_that_cannot_be_are_refused_with_the_name_of_the_setting() {
        let of = |retry| refusal(Options { retry: Some(retry), ..Options::default() });
        assert_eq!(of(RetryConfig::new()), "");
        let text = of(RetryConfig::new().with_max_attempts(Some(0)));
        assert!(
            text.starts_with("`.retry(..)` of `shop/send` has a `max_attempts` of 0"),
            "{text}"
        );
        let text = of(RetryConfig::new().with_max_backoff(std::time::Duration::ZERO));
        assert!(text.contains("`min_backoff`") && text.contains("`max_backoff` of 0 s"), "{text}");
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_with_their_name() {
        assert_eq!(header("X-Shop", "7"), "");
        for name in ["X-Deferred-Task", "Host", "a b"] {
            let text = header(name, "x");
            assert!(text.contains(name) && text.contains(".header(..)"), "{text}");
        }
        assert!(!header("x", "s3cret\n").contains("s3cret"));
        assert!(header("x", &"y".repeat(MAX_HEADER_BYTES)).contains("bytes in all its headers"));
    }

    #[test]
    fn a_header_given_again_is_replaced() {
        let mut options = Options::default();
        for (name, value) in [("X-A", "1"), ("X-B", "2"), ("x-a", "3")] {
            options.header(name.to_owned(), value.to_owned());
        }
        assert_eq!(
            options.headers,
            [("X-B".to_owned(), "2".to_owned()), ("x-a".to_owned(), "3".to_owned())]
        );
        assert!(!format!("{options:?}").contains('3'), "{options:?}");
    }

    #[test]
    fn targets_are_parts_of_a_hosts_name() {
        assert_eq!(target("worker", Some("20260101t1200-a")), "");
        for (service, version) in
            [("", None), ("Worker", None), ("-a", None), ("a.b", None), ("a", Some("v_1"))]
        {
            assert!(
                target(service, version).contains("lower-case letters"),
                "{service} {version:?}"
            );
        }
        assert!(target(&"x".repeat(64), None).contains("1 to 63"));
    }
}
