//! The service: guards every request, and survives what panics in it.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;

use super::attempt::Delivery;
use super::plan::{Place, Plan};
use super::request::Told;
use super::response::Answer;
use super::verify::{Verified, Verify};
use super::{body, request};
use crate::backend::BoxFuture;
use crate::dispatch::Permit;
use crate::log;
use crate::outcome::BoxError;
use crate::unwind;

/// Runs the tasks that a queue sends over HTTP: a [tower](tower_service) service to mount on your own router, under your
/// own middlewares. Clones are the same service. Made by [`Client::push_service`](crate::Client::push_service).
///
/// It answers requests `POST {prefix}/{kind}` and, where a router has stripped the prefix, `POST /{kind}`; without the
/// prefix, what is no task of the proven queue is answered with 404. The module [`push`](crate::push) lists its answers.
///
/// The queue is to say in `X-CloudTasks-TaskRetryCount` (or App Engine's `X-AppEngine-TaskRetryCount`) how many requests
/// for a task came before: `max_attempts` counts those, the ones that were refused or found no room included. In
/// `..-TaskPreviousResponse` it may say how the last one was answered, so that a task which was only refused is run, and in
/// `X-CloudTasks-TaskExecutionCount` how many were answered with another status than 5xx: those were refused, and are
/// subtracted, unless the last one failed with [`SingularTaskFailure`](crate::SingularTaskFailure).
///
/// ```standalone_crate
/// # use gae_tasks::backend::BoxFuture;
/// # use gae_tasks::push::verify::{Refused, Verified, Verify};
/// # #[derive(Debug)]
/// # struct Never;
/// # impl Verify for Never {
/// #     fn verify<'a>(&'a self, _: &'a http::request::Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
/// #         Box::pin(std::future::ready(Err(Refused::new("never"))))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// # let verifier = Never;
/// use gae_tasks::{Client, deferred};
///
/// #[deferred]
/// async fn greet(name: String) {
///     println!("hello {name}");
/// }
///
/// let tasks = Client::open("memory:").await?;
/// let push = tasks.push_service().verify(verifier).dead_letters(&tasks).build()?;
/// // axum:  Router::new().nest_service("/_cb/deferred", push)
/// // actix: App::new().service(push.actix())
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PushService(Arc<Plan>);

impl PushService {
    pub(crate) fn new(plan: Plan) -> Self {
        // The table of kinds is made now, not by the first request.
        _ = plan.registry.by_kind("");
        log::say(|| {
            tracing::info!(prefix = plan.prefix, concurrency = plan.concurrency, "the push service is ready");
            for registration in plan.registry.registrations() {
                tracing::debug!(kind = registration.kind, shape = %registration.shape, at = %registration.location, "task");
            }
        });
        Self(Arc::new(plan))
    }

    /// The URL path before a task's kind.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// Marks a request of the program's own handlers, if one of the service's verifiers proves that it comes from the
    /// queue: [`is_from_task_queue`](super::is_from_task_queue) of its extensions is true then. For a middleware; what is
    /// not proven passes unmarked.
    pub async fn mark<B>(&self, request: Request<B>) -> Request<B> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.remove::<Verified>();
        if let Ok(verified) = self.0.verifiers.verify(&parts).await {
            parts.extensions.insert(verified);
        }
        Request::from_parts(parts, body)
    }

    /// Answers one request. On its way it is as `Send` as its body.
    pub(super) async fn answer<B>(self, parts: Parts, body: B) -> Response<Full<Bytes>>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let place = match self.0.place(&parts) {
            Ok(place) => place,
            Err(answer) => return answer.into_response(),
        };
        let verified = match self.0.verifiers.verify(&parts).await {
            Ok(verified) => verified,
            // A URL that may be no task's, and a stranger: nothing that concerns tasks.
            Err(_) if !place.is_ours => return Answer::NoSuchPath.into_response(),
            Err(refused) => {
                self.0.refusals.note(parts.uri.path(), &refused.to_string(), self.0.clock.monotonic());
                return Answer::NotAuthentic.into_response();
            }
        };
        // Not before: strangers are to take no room from tasks.
        let previous = Told::by(&parts.headers).previous;
        let Some(permit) = self.0.permit() else { return Answer::Overloaded.following(previous).into_response() };
        request::log_headers(&parts, |header| self.0.verifiers.is_secret(header));
        let answer = self.0.attempt(&parts, place, body, permit).await;
        let mut response = answer.following(previous).into_response();
        response.extensions_mut().insert(verified);
        response
    }
}

impl Plan {
    /// Room for one more.
    fn permit(&self) -> Option<Arc<Room>> {
        let permit = Room::take(&self.running, self.concurrency);
        if permit.is_none() {
            log::say(|| {
                tracing::warn!(concurrency = self.concurrency, "no room for another task: the queue is slowed down")
            });
        }
        permit
    }

    async fn attempt<B>(&self, parts: &Parts, place: Place<'_>, body: B, permit: Arc<dyn Permit>) -> Answer
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let body = match body::read(body, self.max_body, self.body_time, &*self.clock).await {
            Ok(body) => body,
            Err(answer) => {
                if answer == Answer::TooLarge {
                    log::say(|| {
                        tracing::error!(path = parts.uri.path(), limit = self.max_body, "a task's body is too large")
                    });
                }
                return answer;
            }
        };
        let delivery = Delivery { plan: self, place, headers: &parts.headers, body, permit };
        // In a box of its own: allocators are quick with up to about 1,000 bytes, which this and the rest would exceed.
        Box::pin(delivery.attempt()).await
    }
}

/// Counts a request as under way.
#[derive(Debug)]
struct Room(Arc<AtomicUsize>);

impl Room {
    fn take(running: &Arc<AtomicUsize>, limit: usize) -> Option<Arc<Self>> {
        // A permit that is one too many gives itself back.
        let before = running.fetch_add(1, Ordering::AcqRel);
        let permit = Self(Arc::clone(running));
        (before < limit).then(|| Arc::new(permit))
    }
}

impl Permit for Room {}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<B> tower_service::Service<Request<B>> for PushService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = PushFuture;

    /// Always ready: over its limit the service answers at once.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> PushFuture {
        let (parts, body) = request.into_parts();
        PushFuture(Caught(Some(Box::pin(self.clone().answer(parts, body)))))
    }
}

impl fmt::Debug for PushService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushService")
            .field("prefix", &self.0.prefix)
            .field("concurrency", &self.0.concurrency)
            .field("running", &self.0.running)
            .field("sink", &self.0.sink)
            .finish_non_exhaustive()
    }
}

/// The answer of a [`PushService`] on its way. If it is dropped, so is an async handler, and the queue tries again.
#[must_use = "futures do nothing unless awaited"]
pub struct PushFuture(Caught<BoxFuture<'static, Response<Full<Bytes>>>>);

impl Future for PushFuture {
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Ok)
    }
}

impl fmt::Debug for PushFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushFuture")
    }
}

/// Answers 500 where anything of the user's panics: a verifier, a sink, a body. Handlers have their own guard.
pub(super) struct Caught<F>(pub(super) Option<F>);

impl<F: Future<Output = Response<Full<Bytes>>> + Unpin> Future for Caught<F> {
    type Output = Response<Full<Bytes>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answering) = &mut self.0 else { return Poll::Ready(Answer::Failed(None).into_response()) };
        unwind::catch(|| Pin::new(answering).poll(cx)).unwrap_or_else(|panic| {
            log::say(|| tracing::error!(panic, "a request of the task queue panicked outside of its handler"));
            // What is left of it may panic again when it is dropped.
            unwind::discard(self.0.take());
            Poll::Ready(Answer::Failed(None).into_response())
        })
    }
}
