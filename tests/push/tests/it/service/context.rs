//! The context of a handler.

use std::time::Duration;

use bytes::Bytes;
use gae_tasks::push::PushService;
use gae_tasks::push::verify::AppEngine;
use gae_tasks::{Registry, TaskContext, deferred};
use http::{HeaderName, Request};

use super::stage::World;
use super::status::{Send, Tower};

#[deferred(name = "shop.orders/look")]
async fn look(#[context] cx: &TaskContext) -> Result<(), gae_tasks::Error> {
    assert_eq!(gae_tasks::current().map(|current| current.id()), Some(cx.id()));
    assert!(gae_tasks::is_from_task_queue());
    // Without a named client: the service scopes its own client around the handler.
    look_again::defer().await?;
    Ok(())
}

#[deferred(name = "shop.orders/look_again")]
async fn look_again() {}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[deferred(name = "shop.orders/check")]
async fn check(
    attempt: u32,
    name: Option<String>,
    traceparent: Option<String>,
    deadline: Duration,
    #[context] cx: &TaskContext,
) -> Result<(), String> {
    let seen = (
        cx.attempt(),
        cx.name().map(ToString::to_string),
        cx.traceparent().map(str::to_owned),
        cx.deadline(),
    );
    let expected = (attempt, name, traceparent, deadline);
    if seen == expected && cx.schedule_time().is_some() && cx.queue().as_str() == "orders" {
        Ok(())
    } else {
        Err(format!("{seen:?} is not {expected:?}, or {cx:?} is wrong"))
    }
}

const DEFAULT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn it_is_what_headers_and_envelope_say() {
    let world = World::with(Registry::new().with::<check>());
    let adapter = Tower(world.service());
    let plain = check::defer(1, None, None, DEFAULT).queue("orders");
    assert_eq!(adapter.send(world.request(plain, 1)).await.0, 200, "an unnamed task has no name");

    let short = Duration::from_secs(20);
    let task = check::defer(4, Some("order-7".into()), Some(TRACE.into()), short);
    let mut request = world.request(task.queue("orders").named("order-7").deadline(short), 4);
    request.headers_mut().insert("traceparent", TRACE.parse().unwrap());
    assert_eq!(adapter.send(request).await.0, 200);
}

/// Returns a service that trusts App Engine's headers.
fn from_app_engine(world: &World) -> PushService {
    let builder = world.client.push_service().verify(AppEngine::assume_headers_are_stripped());
    builder.dead_letters(&world.cemetery).build().unwrap()
}

/// Adds the headers with which App Engine delivers the request.
fn as_app_engine(request: &mut Request<Bytes>, retries: &str) {
    let moment = request.headers()["x-cloudtasks-tasketa"].clone();
    for (name, value) in [("queuename", "orders"), ("taskname", "t"), ("taskretrycount", retries)] {
        let name = HeaderName::try_from(format!("x-appengine-{name}")).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request.headers_mut().insert("x-appengine-tasketa", moment);
}

/// App Engine strips only its own headers: anyone can add the headers of Cloud Tasks.
#[tokio::test]
async fn only_the_headers_of_the_proven_platform_count() {
    let world = World::with(Registry::new().with::<check>());
    let app_engine = Tower(from_app_engine(&world));
    let mut request = world.request(check::defer(1, None, None, DEFAULT).queue("orders"), 10);
    assert_eq!(request.headers()["x-cloudtasks-taskretrycount"], "9");
    as_app_engine(&mut request, "0");
    assert_eq!(app_engine.send(request.clone()).await.0, 200);
    request.headers_mut().append("x-appengine-taskretrycount", "9".parse().unwrap());
    assert_eq!(app_engine.send(request).await.0, 403, "either of the two counts could be forged");
    let mut request = world.request(check::defer(10, None, None, DEFAULT).queue("orders"), 10);
    as_app_engine(&mut request, "0");
    assert_eq!(Tower(world.service()).send(request).await.0, 200);
}

#[tokio::test]
async fn app_engines_headers_are_understood_and_garbled_ones_ignored() {
    let world = World::with(Registry::new().with::<check>());
    let (app_engine, adapter) = (Tower(from_app_engine(&world)), Tower(world.service()));
    let mut request = world.request(check::defer(8, None, None, DEFAULT).queue("orders"), 1);
    as_app_engine(&mut request, "7");
    request.headers_mut().insert("traceparent", "00-nonsense".parse().unwrap());
    assert_eq!(app_engine.send(request).await.0, 200);

    let mut request = world.request(check::defer(1, None, None, DEFAULT).queue("orders"), 5);
    request.headers_mut().insert("x-cloudtasks-taskretrycount", "-4".parse().unwrap());
    assert_eq!(adapter.send(request).await.0, 200);
}

#[tokio::test]
async fn handlers_defer_with_the_services_client() {
    let world = World::with(Registry::new().with::<look>().with::<look_again>());
    let adapter = Tower(world.service());
    assert_eq!(adapter.send(world.request(look::defer(), 1)).await.0, 200);
    assert_eq!(world.client.stats_of::<look_again>().await.unwrap().due, 1);
}
