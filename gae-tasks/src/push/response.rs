//! The answer to a request, in the queue's terms.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

/// The body of a [`PushService`](super::PushService)'s response: a line of text for people, or
/// empty. The queue reads only the status.
#[derive(Debug, Clone, Default)]
pub struct PushBody(Bytes);

impl PushBody {
    const fn new(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// Returns the unread rest of the body.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Body for PushBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let text = std::mem::take(&mut self.0);
        Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// The reply to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// The queue may delete the task: it is done, its dead letter is safe, or its copy is stored.
    Done,
    NotPost,
    NoSuchPath,
    Overloaded,
    NotAuthentic,
    TooLarge,
    BodyBroken,
    BodyLate,
    /// No instance of this version can run the task.
    Unroutable,
    /// The attempt failed as expected.
    Singular,
    /// The attempt failed, and the task is to be retried after this pause.
    Failed(Option<Duration>),
    DeadlineMissed,
    /// The attempt failed after refused deliveries: one more attempt follows, whatever the queue
    /// has counted.
    OneMore,
}

/// The status of [`Reply::OneMore`]. The queue reports it with the next delivery, so no platform
/// and no proxy may use the status by itself.
pub(super) const ONE_MORE: u16 = 510;

impl Reply {
    /// The reply to a delivery whose previous delivery was answered with `previous`. A refusal must
    /// not hide that one more attempt follows; otherwise each refusal would be followed by one more
    /// attempt.
    pub(super) fn following(self, previous: Option<u16>) -> Self {
        let is_refusal = matches!(
            self,
            Self::NotPost
                | Self::NoSuchPath
                | Self::Overloaded
                | Self::NotAuthentic
                | Self::TooLarge
                | Self::BodyBroken
                | Self::BodyLate
                | Self::Unroutable
        );
        if is_refusal && previous == Some(ONE_MORE) { Self::OneMore } else { self }
    }

    /// The status, and a line for people; the queue reads only the status.
    fn status(self) -> (StatusCode, &'static str) {
        match self {
            Self::Done => (StatusCode::OK, ""),
            Self::NotPost => (StatusCode::METHOD_NOT_ALLOWED, "tasks are sent with POST\n"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no task has this URL\n"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "too many tasks run here\n"),
            Self::NotAuthentic => (StatusCode::FORBIDDEN, "not from the task queue\n"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, "the body broke off\n"),
            Self::BodyLate => (StatusCode::REQUEST_TIMEOUT, "the body took too long\n"),
            Self::Unroutable => (StatusCode::NOT_FOUND, "this version cannot run the task\n"),
            Self::Singular => (StatusCode::REQUEST_TIMEOUT, "not yet\n"),
            Self::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed\n"),
            Self::DeadlineMissed => (StatusCode::GATEWAY_TIMEOUT, "the deadline is missed\n"),
            Self::OneMore => (StatusCode::NOT_EXTENDED, "failed, and one more attempt follows\n"),
        }
    }

    pub(super) fn into_response(self) -> Response<PushBody> {
        let (status, text) = self.status();
        let mut response = Response::new(PushBody::new(text));
        *response.status_mut() = status;
        match self {
            Self::NotPost => {
                _ = response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"))
            }
            // The pause is short: the first attempt that ends makes room.
            Self::Overloaded => {
                _ = response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            Self::Failed(Some(pause)) => {
                // Whole seconds, and never less than the handler asked for.
                let seconds = pause.as_secs().saturating_add(u64::from(pause.subsec_nanos() > 0));
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(pause: Duration) -> String {
        let response = Reply::Failed(Some(pause)).into_response();
        response.headers()[RETRY_AFTER].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_body_is_read_once_and_says_how_long_it_is() {
        let mut body = PushBody::new("failed\n");
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(7), false));
        let mut frame =
            || Pin::new(&mut body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        let Poll::Ready(Some(Ok(first))) = frame() else { panic!("no frame") };
        assert_eq!(first.into_data().unwrap(), "failed\n");
        assert!(matches!(frame(), Poll::Ready(None)));
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
    }

    #[test]
    fn a_pause_is_told_in_whole_seconds_and_never_shortened() {
        assert_eq!(retry_after(Duration::from_millis(1)), "1");
        assert_eq!(retry_after(Duration::from_secs(30)), "30");
        assert_eq!(retry_after(Duration::MAX), u64::MAX.to_string());
        assert!(!Reply::Failed(None).into_response().headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn a_refusal_does_not_hide_that_one_more_attempt_follows() {
        assert_eq!(Reply::OneMore.into_response().status(), ONE_MORE);
        for refusal in [
            Reply::NotPost,
            Reply::NoSuchPath,
            Reply::Overloaded,
            Reply::NotAuthentic,
            Reply::TooLarge,
            Reply::BodyBroken,
            Reply::BodyLate,
            Reply::Unroutable,
        ] {
            assert_eq!(refusal.following(Some(ONE_MORE)), Reply::OneMore);
            assert_eq!([refusal.following(Some(500)), refusal.following(None)], [refusal; 2]);
        }
        for other in [Reply::Done, Reply::Failed(None), Reply::Singular] {
            assert_eq!(other.following(Some(ONE_MORE)), other);
        }
    }

    #[test]
    fn only_overload_slows_the_queue() {
        let all = [
            Reply::NotPost,
            Reply::NoSuchPath,
            Reply::NotAuthentic,
            Reply::TooLarge,
            Reply::BodyBroken,
            Reply::BodyLate,
            Reply::Unroutable,
            Reply::Singular,
            Reply::Failed(None),
            Reply::DeadlineMissed,
            Reply::OneMore,
        ];
        for answer in all {
            let status = answer.into_response().status();
            assert!(
                !status.is_success() && !status.is_redirection(),
                "{answer:?} would end the task"
            );
            assert!(
                status != StatusCode::SERVICE_UNAVAILABLE
                    && status != StatusCode::TOO_MANY_REQUESTS,
                "{answer:?}"
            );
        }
        let overloaded = Reply::Overloaded.into_response();
        assert_eq!(overloaded.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(overloaded.headers()[RETRY_AFTER], "1");
    }
}
