//! The service for actix-web 4, as a resource or as a route.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Resource, Route, web};
use bytes::Bytes;
use futures_util::Stream;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};

use super::response::{PushBody, Reply};
use super::service::{Caught, PushService};
use super::verify::Verified;

#[cfg_attr(docsrs, doc(cfg(feature = "actix")))]
impl PushService {
    /// The service as a resource of actix-web at the service's prefix:
    /// `App::new().wrap(middleware).service(push.actix())`. Make the service once and clone it into
    /// the factory of `HttpServer::new`, so that all threads share its limits.
    ///
    /// actix-web notices that a caller has disconnected only with
    /// `HttpServer::h1_allow_half_closed(false)`. Without this setting an async handler goes on
    /// until it ends or misses its deadline, concurrently with the next attempt.
    ///
    /// Afterwards the proof that a request comes from the queue, [`Verified`], is in the extensions
    /// of the request: an outer middleware finds it in `response.request().extensions()`. A
    /// verifier finds the caller's `std::net::SocketAddr` in the extensions.
    pub fn actix(&self) -> Resource {
        web::resource(format!("{}/{{kind:.*}}", self.prefix())).route(self.actix_route())
    }

    /// The service as a route for all methods: `scope.route("/deferred/{kind:.*}",
    /// push.actix_route())`, or an app's `default_service`. The service's prefix must be the prefix
    /// of the whole request path.
    pub fn actix_route(&self) -> Route {
        let service = self.clone();
        web::route().to(move |request: HttpRequest, payload: web::Payload| {
            serve(service.clone(), request, payload)
        })
    }
}

async fn serve(service: PushService, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    // A request that actix accepts and `http` refuses cannot be for a task.
    let Some(ours) = translated(&request, payload) else {
        return response_of(Reply::NoSuchPath.into_response());
    };
    let (parts, body) = ours.into_parts();
    let mut response = Caught(Some(Box::pin(service.answer(parts, body)))).await;
    if let Some(verified) = response.extensions_mut().remove::<Verified>() {
        request.extensions_mut().insert(verified);
    }
    response_of(response)
}

/// Converts the request to the types of `http` 1, which actix-web does not use yet.
fn translated(request: &HttpRequest, payload: web::Payload) -> Option<Request<Payload>> {
    let mut ours = Request::builder()
        .method(request.method().as_str())
        .uri(Uri::try_from(request.uri().to_string()).ok()?);
    for (name, value) in request.headers() {
        ours = ours.header(name.as_str(), value.as_bytes());
    }
    if let Some(peer) = request.peer_addr() {
        ours = ours.extension(peer);
    }
    let length =
        request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    ours.body(Payload { payload, length }).ok()
}

fn response_of(response: Response<PushBody>) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let status =
        StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut theirs = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        theirs.append_header((name.as_str(), value.as_bytes()));
    }
    theirs.body(body.into_bytes())
}

/// A body that is read from actix-web on its own thread, piece by piece.
struct Payload {
    payload: web::Payload,
    length: Option<u64>,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = actix_web::error::PayloadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.payload).poll_next(cx).map_ok(Frame::data)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
