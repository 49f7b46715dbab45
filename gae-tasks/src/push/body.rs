//! Reads a request's body, limited in size (whatever its headers say) and in time.

use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;

use super::response::Reply;
use crate::clock::Clock;
use crate::log;
use crate::outcome::BoxError;

/// The number of polls of a body before its time is measured.
const LOOKS: u32 = 2;

/// The most bytes that the body may have, of which `limit` are allowed.
pub(super) fn expected<B: Body>(body: &B, limit: usize) -> Result<u64, Reply> {
    let (hint, limit) = (body.size_hint(), limit as u64);
    if hint.lower() > limit {
        return Err(Reply::TooLarge);
    }
    Ok(hint.upper().map_or(limit, |bytes| bytes.min(limit)))
}

/// Reads the whole body, which may have `limit` bytes and take `time`.
pub(super) async fn read<B>(
    body: B,
    limit: usize,
    time: Duration,
    clock: &dyn Clock,
) -> Result<Bytes, Reply>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut collecting = pin!(collect(body, limit));
    let (mut looks, mut late) = (0, None);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(read) = collecting.as_mut().poll(cx) {
            return Poll::Ready(read);
        }
        // Nearly every body arrives with its headers, but hyper returns it only when polled again:
        // no timer is made for such bodies.
        if looks < LOOKS {
            looks += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(late.get_or_insert_with(|| clock.sleep(time)).as_mut().poll(cx));
        log::say(|| tracing::warn!(?time, "a task's body took too long"));
        Poll::Ready(Err(Reply::BodyLate))
    })
    .await
}

async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Reply>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    while let Some(data) = next(body.as_mut()).await? {
        if first.len() + more.len() + data.len() > limit {
            return Err(Reply::TooLarge);
        }
        // A body usually has one frame, which is not copied.
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&std::mem::take(&mut first));
            }
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// The next piece of data; trailers are skipped.
async fn next<B>(mut body: Pin<&mut B>) -> Result<Option<Bytes>, Reply>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    loop {
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(mut data) = frame.into_data() {
                    return Ok(Some(data.copy_to_bytes(data.remaining())));
                }
            }
            Some(Err(error)) => return Err(broken(error.into())),
        }
    }
}

/// Explains why a body ended too early: the connection broke, or a middleware has a limit of its
/// own.
fn broken(error: BoxError) -> Reply {
    let error: &(dyn std::error::Error + 'static) = &*error;
    let mut source = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return Reply::TooLarge;
        }
        source = error.source();
    }
    log::say(|| tracing::warn!(error = crate::outcome::chain(error), "a task's body broke off"));
    Reply::BodyBroken
}
