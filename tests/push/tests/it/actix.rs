//! The push service in actix-web 4: the same responses, under a middleware of the application.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::dev::{Service, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpMessage, HttpServer, test, web};
use bytes::Bytes;
use gae_tasks::push::PushService;
use gae_tasks::push::verify::Verified;
use http::{HeaderMap, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::stage::{self, SECRET, World, end, hang};
use crate::service::status::{Send, every_row};

/// Builds an app for each request.
struct Actix {
    service: PushService,
    by_route: bool,
    seen: Arc<AtomicUsize>,
}

impl Actix {
    fn new(service: PushService, by_route: bool) -> Self {
        Self { service, by_route, seen: Arc::default() }
    }
}

impl Send for Actix {
    async fn send(&self, request: Request<Bytes>) -> (StatusCode, HeaderMap) {
        let seen = Arc::clone(&self.seen);
        let app = App::new().wrap_fn(move |request, next| {
            let (seen, response) = (Arc::clone(&seen), next.call(request));
            async move {
                let response: ServiceResponse = response.await?;
                if response.request().extensions().get::<Verified>().is_some() {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                Ok(response)
            }
        });
        let app = match self.by_route {
            true => app.service(
                web::scope("/_cb").route("/deferred/{kind:.*}", self.service.actix_route()),
            ),
            false => app.service(web::scope("").service(self.service.actix())),
        };
        let app = test::init_service(app).await;
        let mut theirs = test::TestRequest::with_uri(&request.uri().to_string())
            .method(request.method().as_str().parse().unwrap())
            .set_payload(request.body().clone());
        for (name, value) in request.headers() {
            theirs = theirs.insert_header((name.as_str(), value.as_bytes()));
        }
        let response = test::call_service(&app, theirs.to_request()).await;
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| {
            (name.as_str().parse().unwrap(), value.to_str().unwrap().parse().unwrap())
        });
        (StatusCode::from_u16(response.status().as_u16()).unwrap(), headers.collect())
    }
}

#[actix_web::test]
async fn every_outcome_has_its_status_under_the_users_middleware() {
    for by_route in [false, true] {
        let world = World::new();
        let adapter = Actix::new(world.service(), by_route);
        every_row(&world, &adapter).await;
        let authentic = 5 + 1 + 1 + 1 + 1 + 3 + 1 + 1;
        let seen = adapter.seen.load(Ordering::SeqCst);
        assert_eq!(seen, authentic, "handlers, newer version, other methods, too large, garbage");
    }
}

async fn serve(service: PushService) -> std::net::SocketAddr {
    let pass = |request: actix_web::dev::ServiceRequest, next: actix_web::middleware::Next<_>| {
        next.call(request)
    };
    let server = HttpServer::new(move || App::new().wrap(from_fn(pass)).service(service.actix()));
    let server = server
        .h1_allow_half_closed(false)
        .workers(2)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

async fn chunked(address: std::net::SocketAddr, kind: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /_cb/deferred/{kind} HTTP/1.1\r\nHost: shop\r\nX-Secret: {SECRET}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[actix_web::test]
async fn over_a_socket_bodies_without_a_length_are_limited_too() {
    let world = World::new();
    let address = serve(world.builder().max_body(10_000).build().unwrap()).await;
    let body = world.request(end::defer("done"), 1).into_body();
    let text = answer(chunked(address, "shop.orders/end", &body).await).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let text = answer(chunked(address, "shop.orders/end", &[0; 12_000]).await).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
}

#[actix_web::test]
async fn threads_share_one_limit() {
    let world = World::new();
    let address = serve(world.builder().concurrency(1).build().unwrap()).await;
    let body = world.request(stage::wait::defer(), 1).into_body();
    let first = chunked(address, "shop.orders/wait", &body).await;
    world.stage.until(|signs| signs.begun == 1).await;
    for _ in 0..4 {
        let text = answer(chunked(address, "shop.orders/wait", &body).await).await;
        assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    }
    world.stage.let_pass(1);
    assert!(answer(first).await.starts_with("HTTP/1.1 200"));
}

#[actix_web::test]
async fn when_the_caller_hangs_up_its_handler_is_dropped() {
    let world = World::new();
    let address = serve(world.service()).await;
    let body = world.request(hang::defer(), 1).into_body();
    let stream = chunked(address, "shop.orders/hang", &body).await;
    world.stage.until(|signs| signs.begun == 1).await;
    drop(stream);
    world.stage.until(|signs| signs.dropped == 1).await;
}
