//! The service: guards every request, and catches panics.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;

use super::attempt::Delivery;
use super::body;
use super::request::{self, Reported};
use super::response::{PushBody, Reply};
use super::room::{Patience, Room};
use super::settings::ServiceSettings;
use super::verify::{HeaderFamily, Verified, Verify};
use crate::backend::BoxFuture;
use crate::log;
use crate::outcome::BoxError;
use crate::unwind;

/// How long a task that was refused before waits for room for its body.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// Runs the tasks that a queue sends over HTTP: a [tower](tower_service) service to mount on your
/// own router, under your own middlewares. Clones are the same service. Made by
/// [`Client::push_service`](crate::Client::push_service).
///
/// The service answers requests `POST {prefix}/{kind}`, or `POST /{kind}` if a router strips the
/// prefix and the service is [nested](crate::PushServiceBuilder::nested). Other paths are answered
/// with 404. The module [`push`](crate::push) lists all answers.
///
/// The queue sends the number of earlier requests for a task in `X-CloudTasks-TaskRetryCount` (or
/// App Engine's `X-AppEngine-TaskRetryCount`): `max_attempts` counts these, including requests that
/// were refused or found no room. A queue may send the status of the previous answer in
/// `..-TaskPreviousResponse`, so that a task that was only refused is run, and the number of
/// requests answered with a status other than 5xx in `X-CloudTasks-TaskExecutionCount`. Such
/// requests were refused and are subtracted, unless the last one failed with
/// [`SingularTaskFailure`](crate::SingularTaskFailure).
///
/// ```standalone_crate
/// # use gae_tasks::backend::BoxFuture;
/// # use gae_tasks::push::verify::{Refused, Verified, Verify};
/// # #[derive(Debug)]
/// # struct Never;
/// # impl Verify for Never {
/// #     fn verify<'a>(
/// #         &'a self,
/// #         _: &'a http::request::Parts,
/// #     ) -> BoxFuture<'a, Result<Verified, Refused>> {
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
/// // axum:  Router::new().route_service("/_cb/deferred/{*kind}", push)
/// // actix: App::new().service(push.actix())
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PushService(Arc<ServiceSettings>);

impl PushService {
    pub(crate) fn new(settings: ServiceSettings) -> Self {
        // The table of kinds is built now, not by the first request.
        _ = settings.registry.by_kind("");
        log::say(|| {
            tracing::info!(
                prefix = settings.prefix,
                nested = settings.is_nested,
                "the push service is ready"
            );
            for registration in settings.registry.registrations() {
                tracing::debug!(kind = registration.kind, at = %registration.location, "task");
            }
        });
        Self(Arc::new(settings))
    }

    /// The URL path before a task's kind.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// Marks a request of the program's own handlers, for a middleware. If one of the service's
    /// verifiers proves that the request comes from the queue,
    /// [`is_from_task_queue`](super::is_from_task_queue) of its extensions is true. A request
    /// without proof passes unmarked.
    pub async fn mark<B>(&self, request: Request<B>) -> Request<B> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.remove::<Verified>();
        if let Ok(verified) = self.0.prove(&parts).await {
            parts.extensions.insert(verified);
        }
        Request::from_parts(parts, body)
    }

    /// Answers one request. The future is `Send` if the body is.
    pub(super) async fn answer<B>(self, parts: Parts, body: B) -> Response<PushBody>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        // Not proven: who claims it wrongly learns nothing but what it has sent.
        let refuse = |reply: Reply| reply.following(request::previous(&parts.headers));
        let Some(kind) = self.0.under_prefix(parts.uri.path()) else {
            self.0.explain_path(&parts).await;
            return refuse(Reply::NoSuchPath).into_response();
        };
        // It calls with GET and sends no task.
        #[cfg(feature = "cron")]
        if parts.method == Method::GET && self.0.verifiers.is_cron(&parts) {
            return Box::pin(self.0.cron_tick(kind)).await.into_response();
        }
        // Before anything that depends on the method or the kind: strangers get one answer.
        let verified = match self.0.prove(&parts).await {
            Ok(verified) => verified,
            Err(refused) => {
                self.0.refusals.note(
                    parts.uri.path(),
                    &refused.to_string(),
                    self.0.clock.monotonic(),
                );
                return refuse(Reply::NotAuthentic).into_response();
            }
        };
        let mut response =
            self.0.answer_queue(&parts, kind, verified.headers, body).await.into_response();
        response.extensions_mut().insert(verified);
        response
    }
}

impl ServiceSettings {
    /// The answer to a request that was proven to come from the queue.
    async fn answer_queue<B>(
        &self,
        parts: &Parts,
        kind: &str,
        family: HeaderFamily,
        body: B,
    ) -> Reply
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let reported = Reported::by(&parts.headers, family);
        if !self.is_kind(kind) {
            return Reply::NoSuchPath.following(reported.previous);
        }
        if parts.method != Method::POST {
            return Reply::NotPost.following(reported.previous);
        }
        let Some(room) = self.capacity.enter() else {
            return Reply::Overloaded.following(reported.previous);
        };
        request::log_headers(parts, |header| self.verifiers.is_secret(header));
        #[cfg(feature = "cron")]
        if super::tick::is_tick(parts, family) {
            return Box::pin(self.tick(parts, kind)).await;
        }
        let delivery = Delivery {
            settings: self,
            kind,
            headers: &parts.headers,
            family,
            body: Bytes::new(),
            room,
        };
        let answer =
            match self.read(parts, body, &delivery.room, reported.may_have_had_no_room()).await {
                // Boxed: allocators are fast up to about 1,000 bytes, and this future with the rest
                // would exceed that.
                Ok(body) => Box::pin(Delivery { body, ..delivery }.attempt()).await,
                Err(answer) => answer,
            };
        answer.following(reported.previous)
    }

    /// Reads the body, after making room for it.
    async fn read<B>(
        &self,
        parts: &Parts,
        body: B,
        room: &Room,
        waits: bool,
    ) -> Result<Bytes, Reply>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let read = async {
            let expected = body::expected(&body, self.max_body)?;
            let patience = Patience { clock: &*self.clock, waits, time: BODY_PATIENCE };
            if !room.reserve(expected, patience).await {
                return Err(Reply::Overloaded);
            }
            body::read(body, self.max_body, self.body_time, &*self.clock).await
        };
        let read = read.await;
        match &read {
            Ok(body) => room.shrink_to(body.len() as u64),
            Err(Reply::TooLarge) => log::say(|| {
                tracing::error!(
                    path = parts.uri.path(),
                    limit = self.max_body,
                    "a task's body is too large"
                );
            }),
            Err(_) => {}
        }
        read
    }

    /// Logs why a task whose path is not under the prefix is not found. All other requests at such
    /// paths are not for this service.
    async fn explain_path(&self, parts: &Parts) {
        if parts.method == Method::POST && self.prove(parts).await.is_ok() {
            let (path, prefix) = (parts.uri.path(), &self.prefix);
            log::say(|| {
                tracing::error!(
                    path,
                    prefix,
                    "a request of the task queue is not under the prefix: if a router strips the \
                     prefix, build the push service with `.nested()`, otherwise give the service \
                     and the queue's backend the same `.prefix(..)`"
                );
            });
        }
    }
}

impl<B> tower_service::Service<Request<B>> for PushService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<PushBody>;
    type Error = Infallible;
    type Future = PushFuture;

    /// Always ready: beyond its limits the service answers at once.
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
            .field("capacity", &self.0.capacity)
            .field("sink", &self.0.sink)
            .finish_non_exhaustive()
    }
}

/// The future of a [`PushService`]'s answer. Dropping it drops an async handler, and the queue
/// retries the task.
#[must_use = "futures do nothing unless awaited"]
pub struct PushFuture(Caught<BoxFuture<'static, Response<PushBody>>>);

impl Future for PushFuture {
    type Output = Result<Response<PushBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Ok)
    }
}

impl fmt::Debug for PushFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushFuture")
    }
}

/// Answers 500 if code of the user panics: a verifier, a sink, a body. Panics of handlers are
/// caught separately.
pub(super) struct Caught<F>(pub(super) Option<F>);

impl<F: Future<Output = Response<PushBody>> + Unpin> Future for Caught<F> {
    type Output = Response<PushBody>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answering) = &mut self.0 else {
            return Poll::Ready(Reply::Failed(None).into_response());
        };
        unwind::catch(|| Pin::new(answering).poll(cx)).unwrap_or_else(|panic| {
            log::say(|| {
                tracing::error!(
                    panic,
                    "a request of the task queue panicked outside of its handler"
                )
            });
            // The rest of the future may panic again when it is dropped.
            unwind::discard(self.0.take());
            Poll::Ready(Reply::Failed(None).into_response())
        })
    }
}
