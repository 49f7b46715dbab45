//! What a handler knows of its attempt.

use std::time::Duration;

use gae_tasks::{Registry, TaskContext, deferred};

use super::stage::World;
use super::status::{Send, Tower};

#[deferred(name = "shop.orders/look")]
async fn look(#[context] cx: &TaskContext) -> Result<(), gae_tasks::Error> {
    assert_eq!(gae_tasks::current().map(|current| current.id()), Some(cx.id()));
    assert!(gae_tasks::is_from_task_queue());
    // No client is named: the service's own is around the handler.
    look_again::defer().await?;
    Ok(())
}

#[deferred(name = "shop.orders/look_again")]
async fn look_again() {}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[deferred(name = "shop.orders/tell")]
async fn tell(
    attempt: u32,
    name: Option<String>,
    traceparent: Option<String>,
    deadline: Duration,
    #[context] cx: &TaskContext,
) -> Result<(), String> {
    let told = (cx.attempt(), cx.name().map(ToString::to_string), cx.traceparent().map(str::to_owned), cx.deadline());
    let expected = (attempt, name, traceparent, deadline);
    if told == expected && cx.schedule_time().is_some() && cx.queue().as_str() == "orders" {
        Ok(())
    } else {
        Err(format!("{told:?} is not {expected:?}, or {cx:?} is wrong"))
    }
}

const DEFAULT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn it_is_what_headers_and_envelope_say() {
    let world = World::with(Registry::new().with::<tell>());
    let adapter = Tower(world.service());
    let plain = tell::defer(1, None, None, DEFAULT).queue("orders");
    assert_eq!(adapter.send(world.request(plain, 1)).await.0, 200, "an unnamed task has no name");

    let short = Duration::from_secs(20);
    let task = tell::defer(4, Some("order-7".into()), Some(TRACE.into()), short);
    let mut request = world.request(task.queue("orders").named("order-7").deadline(short), 4);
    request.headers_mut().insert("traceparent", TRACE.parse().unwrap());
    assert_eq!(adapter.send(request).await.0, 200);
}

#[tokio::test]
async fn app_engines_headers_are_understood_and_garbled_ones_ignored() {
    let world = World::with(Registry::new().with::<tell>());
    let adapter = Tower(world.service());
    let mut request = world.request(tell::defer(8, None, None, DEFAULT).queue("orders"), 1);
    request.headers_mut().remove("x-cloudtasks-taskretrycount");
    request.headers_mut().insert("x-appengine-taskretrycount", "7".parse().unwrap());
    request.headers_mut().insert("traceparent", "00-nonsense".parse().unwrap());
    assert_eq!(adapter.send(request).await.0, 200);

    let mut request = world.request(tell::defer(1, None, None, DEFAULT).queue("orders"), 5);
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
