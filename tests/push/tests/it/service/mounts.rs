//! The push service in axum, under a middleware of the application: nested, as a route, as the
//! fallback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use gae_tasks::push::is_from_task_queue;
use http::{Method, StatusCode};
use http_body_util::Full;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::stage::{SECRET, World, end};

/// The number of the task queue's requests seen by a middleware of the application.
type Seen = Arc<AtomicUsize>;

async fn count(State(seen): State<Seen>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if is_from_task_queue(response.extensions()) {
        seen.fetch_add(1, Ordering::SeqCst);
    }
    response
}

async fn serve(router: Router) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let router = router.layer(from_fn_with_state(Arc::clone(&seen), count));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, seen)
}

async fn post(address: SocketAddr, world: &World, path: &str, secret: &str) -> StatusCode {
    let request = world.request(end::defer("done"), 1);
    let (parts, body) = request.into_parts();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut headers = parts.headers;
    headers.insert("x-secret", secret.parse().unwrap());
    let sent = client.post(format!("http://{address}{path}")).headers(headers).body(body).send();
    sent.await.unwrap().status()
}

#[tokio::test]
async fn nested_under_the_prefix_and_the_users_middleware() {
    let world = World::new();
    let router = Router::new()
        .route("/", get(|| async { "shop" }))
        .nest_service("/_cb/deferred", world.builder().nested().build().unwrap());
    let (address, seen) = serve(router).await;
    assert_eq!(
        post(address, &world, "/_cb/deferred/shop.orders/end", SECRET).await,
        StatusCode::OK
    );
    assert_eq!(
        post(address, &world, "/_cb/deferred/shop.orders/end", "guess").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        post(address, &world, "/_cb/deferred/shop.orders/other", "guess").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!((seen.load(Ordering::SeqCst), world.stage.signs().ended), (1, 1));
    let other = post(address, &world, "/_cb/deferred/shop.orders/other", SECRET).await;
    assert_eq!(other, StatusCode::OK, "the envelope decides");
}

#[tokio::test]
async fn without_the_prefix_what_is_no_task_of_ours_is_left_alone() {
    let world = World::new();
    let (address, _) = serve(Router::new().fallback_service(world.service())).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{address}{path}");
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status();
    assert_eq!(status(client.get(url("/about"))).await, StatusCode::NOT_FOUND);
    let proven = client.get(url("/_cb/deferred/about")).header("x-secret", SECRET);
    assert_eq!(status(proven).await, StatusCode::METHOD_NOT_ALLOWED);
    // A request of the same queue for another service.
    let foreign = client.post(url("/cron/daily")).header("x-secret", SECRET).body("{}");
    assert_eq!(status(foreign).await, StatusCode::NOT_FOUND);
    assert_eq!(world.dead_letters().await, []);
}

/// Someone with a list of words could otherwise find every known kind.
#[tokio::test]
async fn strangers_get_one_answer_for_every_kind_and_method() {
    let world = World::new();
    let services =
        [("/_cb/deferred", world.service()), ("", world.builder().nested().build().unwrap())];
    for (prefix, service) in services {
        let mut answers = Vec::new();
        for kind in ["shop.orders/end", "shop.orders/other", "other", "a//b", "%00", ""] {
            for method in [Method::POST, Method::GET, Method::PUT] {
                let mut request = world.request(end::defer("done"), 1).map(Full::new);
                request.headers_mut().remove("x-secret");
                *request.uri_mut() = format!("{prefix}/{kind}").parse().unwrap();
                *request.method_mut() = method;
                let (parts, body) = service.clone().oneshot(request).await.unwrap().into_parts();
                answers.push((parts.status, format!("{:?}", parts.headers), body.into_bytes()));
            }
        }
        assert_eq!(answers[0].0, StatusCode::FORBIDDEN);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }
}

#[tokio::test]
async fn a_prefix_that_a_router_strips_is_not_guessed() {
    let world = World::new();
    let router = Router::new().nest_service("/_cb/deferred", world.service());
    let (address, seen) = serve(router).await;
    assert_eq!(
        post(address, &world, "/_cb/deferred/shop.orders/end", SECRET).await,
        StatusCode::NOT_FOUND
    );
    let nested = world.builder().nested().build().unwrap();
    let mut request = world.request(end::defer("done"), 1).map(Full::new);
    *request.uri_mut() = "/shop.orders/other".parse().unwrap();
    *request.body_mut() = Full::new("{}".into());
    assert_eq!(
        nested.oneshot(request).await.unwrap().status(),
        StatusCode::OK,
        "a body that is not a task"
    );
    assert_eq!(
        (world.dead_letters().await.len(), seen.load(Ordering::SeqCst), world.stage.signs().begun),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn with_an_empty_prefix_a_nested_service_hears_of_unknown_kinds_too() {
    let world = World::new();
    let router = Router::new().nest_service("/tasks", world.builder().prefix("").build().unwrap());
    let (address, _) = serve(router).await;
    assert_eq!(
        post(address, &world, "/tasks/shop.orders/other", "guess").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        post(address, &world, "/tasks/shop.orders/other", SECRET).await,
        StatusCode::OK,
        "the envelope decides"
    );
}

#[tokio::test]
async fn as_the_fallback_and_as_a_route() {
    let world = World::new();
    let fallback = Router::new().fallback_service(world.service());
    let route = Router::new().route_service("/_cb/deferred/{*kind}", world.service());
    for (number, router) in [fallback, route].into_iter().enumerate() {
        let (address, seen) = serve(router).await;
        assert_eq!(
            post(address, &world, "/_cb/deferred/shop.orders/end", SECRET).await,
            StatusCode::OK
        );
        assert_eq!(post(address, &world, "/_cb/deferred", "guess").await, StatusCode::NOT_FOUND);
        assert_eq!(
            post(address, &world, "/_cb/deferred/a//b", SECRET).await,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            (seen.load(Ordering::SeqCst), world.stage.signs().ended),
            (2, number + 1),
            "two requests are verified"
        );
    }
}
