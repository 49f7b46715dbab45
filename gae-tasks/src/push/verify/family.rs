//! Which of the platforms' headers describe an attempt: those of the platform that was proven to call.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Refused;

/// The headers in which a platform describes a task and its attempt.
///
/// Of a request, only the family that its [`Verified`](super::Verified) names is read: anybody can add headers of the
/// other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HeaderFamily {
    /// `X-CloudTasks-*`: HTTP targets of Cloud Tasks, and queues that send the same headers.
    #[default]
    CloudTasks,
    /// `X-AppEngine-*`: App Engine targets.
    AppEngine,
}

/// The only value of a header; `None` if the header is missing.
///
/// # Errors
/// The header is there more than once: two proxies may disagree about which of its values counts.
pub(in crate::push) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Refused::new(format!("header `{name}` is there more than once"))),
    }
}
