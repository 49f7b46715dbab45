//! One call to Google: retried where a retry can help, and never longer than the time limit.

use std::time::Duration;

use google_cloud_gax::error::Error as GoogleError;
use google_cloud_gax::error::rpc::Code;
use tokio::time::{Instant, sleep, timeout};

use crate::log;

/// An attempt is given up after this fraction of the time limit, so that a connection that died
/// silently leaves time for other attempts.
const ATTEMPTS_IN_LIMIT: u32 = 3;

/// The minimum time for one attempt.
const LEAST_ATTEMPT: Duration = Duration::from_secs(1);

/// The longest pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The result of a call.
#[derive(Debug)]
pub(super) struct Called<T> {
    pub(super) answer: Result<T, Failure>,
    /// Whether an earlier attempt, whose answer was lost, may have been carried out.
    pub(super) lost: bool,
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error that a retry would not change.
    Refused(GoogleError),
    /// The time limit has passed.
    OutOfTime {
        limit: Duration,
        /// The error of the last attempt that ended.
        last: Option<GoogleError>,
    },
}

/// Repeats the attempt until there is an answer, or `limit` has passed. The call must be
/// repeatable.
///
/// The retry loop of the client library is not used, because it reports only the last attempt.
/// Whether an earlier attempt may have been carried out distinguishes a lost answer of this call
/// from a name in use.
pub(super) async fn call<T, F>(limit: Duration, attempt: impl Fn() -> F) -> Called<T>
where
    F: Future<Output = Result<T, GoogleError>>,
{
    let started = Instant::now();
    let (mut lost, mut last, mut pause) = (false, None, FIRST_PAUSE);
    loop {
        let left = limit.saturating_sub(started.elapsed());
        let share = (limit / ATTEMPTS_IN_LIMIT).max(LEAST_ATTEMPT).min(left);
        match timeout(share, attempt()).await {
            Ok(Ok(answer)) => return Called { answer: Ok(answer), lost },
            Ok(Err(error)) => match advice(&error) {
                Advice::GiveUp => return Called { answer: Err(Failure::Refused(error)), lost },
                Advice::Retry { carried_out } => {
                    log::say(|| tracing::debug!(%error, "a call to Cloud Tasks failed"));
                    lost |= carried_out;
                    last = Some(error);
                }
            },
            Err(_no_answer) => {
                log::say(
                    || tracing::debug!(after = ?share, "a call to Cloud Tasks was not answered"),
                );
                lost = true;
            }
        }
        let rest = pause.mul_f64(0.5 + random() / 2.0);
        if started.elapsed() + rest >= limit {
            return Called { answer: Err(Failure::OutOfTime { limit, last }), lost };
        }
        sleep(rest).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Advice {
    GiveUp,
    /// Another attempt may succeed; this one may have been carried out nevertheless.
    Retry {
        carried_out: bool,
    },
}

fn advice(error: &GoogleError) -> Advice {
    if error.is_transient_and_before_rpc() {
        return Advice::Retry { carried_out: false };
    }
    // An answer that is not from Google comes from a proxy in between, which does not know whether
    // Google carried out the call.
    if error.is_io() || error.is_timeout() || error.is_deserialization() {
        return Advice::Retry { carried_out: true };
    }
    match (error.status().map(|status| status.code), error.http_status_code()) {
        (Some(Code::ResourceExhausted), _) | (None, Some(429)) => {
            Advice::Retry { carried_out: false }
        }
        (
            Some(
                Code::Unavailable
                | Code::Internal
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::Unknown,
            ),
            _,
        )
        | (None, Some(408 | 500..=599)) => Advice::Retry { carried_out: true },
        _ => Advice::GiveUp,
    }
}

/// Whether Google reports that the resource exists already.
pub(super) fn is_duplicate(failure: &Failure) -> bool {
    has_code(failure, Code::AlreadyExists)
}

/// Whether Google reports that the resource does not exist.
pub(super) fn is_missing(failure: &Failure) -> bool {
    has_code(failure, Code::NotFound)
}

/// Whether this program may not do what it asked for.
pub(super) fn is_denied(failure: &Failure) -> bool {
    has_code(failure, Code::PermissionDenied)
}

fn has_code(failure: &Failure, code: Code) -> bool {
    let Failure::Refused(error) = failure else { return false };
    error.status().is_some_and(|status| status.code == code)
}

/// Returns a random number from 0 to 1: callers that failed together must not retry together.
fn random() -> f64 {
    f64::from((crate::random::bits() >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use google_cloud_gax::error::rpc::Status;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    /// Extra time for a busy machine.
    const SLACK: Duration = Duration::from_secs(1);

    fn error(code: Code) -> GoogleError {
        GoogleError::service(Status::default().set_code(code))
    }

    async fn after(failures: Vec<GoogleError>) -> (Called<usize>, usize) {
        let (failures, count) = (std::sync::Mutex::new(failures), AtomicUsize::new(0));
        let called = call(LIMIT, || {
            let attempt = count.fetch_add(1, Ordering::Relaxed);
            let mut failures = failures.lock().unwrap();
            let answer = if failures.is_empty() { Ok(attempt) } else { Err(failures.remove(0)) };
            std::future::ready(answer)
        });
        (called.await, count.into_inner())
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again() {
        for code in [
            Code::Unavailable,
            Code::Internal,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::Unknown,
        ] {
            let (called, count) = after(vec![error(code), error(code)]).await;
            assert_eq!((called.answer.unwrap(), called.lost, count), (2, true, 3), "{code:?}");
        }
        let (called, _) =
            after(vec![error(Code::ResourceExhausted), GoogleError::connect("refused")]).await;
        assert_eq!((called.answer.unwrap(), called.lost), (2, false), "neither was carried out");
    }

    #[tokio::test]
    async fn what_will_not_pass_is_not_tried_again() {
        for code in
            [Code::NotFound, Code::PermissionDenied, Code::InvalidArgument, Code::AlreadyExists]
        {
            let (called, count) = after(vec![error(code)]).await;
            assert!(
                matches!(called.answer, Err(Failure::Refused(_))) && !called.lost && count == 1,
                "{code:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_error_of_something_between_is_judged_by_its_status() {
        let http = |status| {
            GoogleError::http(status, Default::default(), bytes::Bytes::from_static(b"<html>"))
        };
        let (called, _) = after(vec![http(502), http(429), http(503)]).await;
        assert_eq!((called.answer.unwrap(), called.lost), (3, true));
        let (called, count) = after(vec![http(403)]).await;
        assert!(called.answer.is_err() && count == 1);
    }

    #[tokio::test]
    async fn nothing_takes_longer_than_the_time_limit() {
        let started = Instant::now();
        let never = call(LIMIT, std::future::pending::<Result<(), _>>).await;
        assert!(matches!(never.answer, Err(Failure::OutOfTime { last: None, .. })) && never.lost);
        assert!(started.elapsed() <= LIMIT + SLACK, "{:?}", started.elapsed());

        let started = Instant::now();
        let refused =
            call(LIMIT, || std::future::ready(Err::<(), _>(GoogleError::connect("refused")))).await;
        assert!(
            matches!(refused.answer, Err(Failure::OutOfTime { last: Some(_), .. }))
                && !refused.lost
        );
        assert!(started.elapsed() <= LIMIT + SLACK, "{:?}", started.elapsed());
    }
}
