//! HTTP targets: the token of each request proves that the queue sent the request.

use std::collections::BTreeSet;
use std::time::Duration;

use gae_tasks::ClientBuilder;
use gae_tasks::push::verify::SharedSecret;

use super::shop::{PLACE, Shop, ShopSettings, fan_out, flaky, write};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn what_is_deferred_runs_under_the_users_middleware_with_all_that_was_said_of_it() {
    let shop = Shop::open(ShopSettings::http()).await;
    let task = write::defer("hello").named("once").header("X-Tenant", "7");
    task.on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let seen = shop.seen().remove(0);
    assert_eq!(
        (seen.text.as_str(), seen.attempt, seen.name.as_deref()),
        ("hello", 1, Some("once"))
    );
    let (headers, is_proven) = shop.requests().remove(0);
    assert!(is_proven);
    assert_eq!(headers["x-tenant"], "7");
    assert_eq!(headers["x-cloudtasks-queuename"], "emails");
    assert_eq!(shop.waiting(), 0);
}

#[tokio::test]
async fn the_deadline_of_the_attribute_is_told_to_the_queue_too() {
    let shop = Shop::open(ShopSettings::http()).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("slow").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.queue.tasks(PLACE, "emails")[0]["dispatchDeadline"], "1200s");
    write::defer("quick")
        .named("quick")
        .deadline(Duration::from_secs(2))
        .on(&shop.tasks)
        .await
        .unwrap();
    let tasks = shop.queue.tasks(PLACE, "emails");
    let quick =
        tasks.iter().find(|task| task["name"].as_str().unwrap().ends_with("/quick")).unwrap();
    assert_eq!(quick["dispatchDeadline"], "15s", "the shortest deadline that the queue accepts");
    shop.tasks.resume("emails").await.unwrap();
    shop.deliveries(2).await;
    let deadlines: BTreeSet<_> = shop.seen().iter().map(|seen| seen.deadline.as_secs()).collect();
    assert_eq!(deadlines, [2, 1200].into());
}

#[tokio::test]
async fn a_handler_that_fails_is_called_again_and_counts() {
    let shop = Shop::open(ShopSettings::http()).await;
    flaky::defer(3, "x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(3).await, [500, 500, 200]);
    assert_eq!(shop.seen().iter().map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((shop.waiting(), shop.dead_letters().await.len()), (0, 0));
}

#[tokio::test]
async fn handlers_defer_further_tasks() {
    let shop = Shop::open(ShopSettings::http()).await;
    fan_out::defer(5).on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(6).await, [200; 6]);
    let texts: BTreeSet<_> = shop.seen().into_iter().map(|seen| seen.text).collect();
    assert_eq!(texts, (0..5).map(|number| format!("leaf {number}")).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_callers_at_once_have_each_task_run_once() {
    let shop = Shop::open(ShopSettings::http()).await;
    let callers: Vec<_> = (0..50)
        .map(|number| tokio::spawn(write::defer(number.to_string()).on(&shop.tasks).into_future()))
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(shop.statuses(50).await, [200; 50]);
    let texts: BTreeSet<_> = shop.seen().into_iter().map(|seen| seen.text).collect();
    assert_eq!((texts.len(), shop.seen().len()), (50, 50));
}

#[tokio::test]
async fn a_queue_that_cannot_prove_itself_keeps_its_tasks() {
    let plan = ShopSettings {
        backend: |backend| backend.service_account("stranger@shop").audience("https://w"),
        ..ShopSettings::http()
    };
    let shop = Shop::open(plan).await;
    write::defer("hello").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await[..2], [403, 403]);
    assert_eq!((shop.seen().len(), shop.waiting()), (0, 1));
    assert!(shop.requests().iter().all(|(_, is_proven)| !is_proven));
}

#[tokio::test]
async fn a_secret_of_the_clients_headers_is_a_proof_too() {
    let plan = ShopSettings {
        backend: |backend| backend.header(SharedSecret::HEADER, SECRET),
        service: |service| service.verify(SharedSecret::new(SECRET).unwrap()),
        ..ShopSettings::http()
    };
    let shop = Shop::open(plan).await;
    write::defer("hello").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
}

#[tokio::test]
async fn the_trace_goes_on_in_the_handler() {
    let client = Box::new(|client: ClientBuilder| client.trace_context(|| Some(TRACE.to_owned())));
    let shop = Shop::open(ShopSettings { client, ..ShopSettings::http() }).await;
    write::defer("hello").on(&shop.tasks).await.unwrap();
    shop.deliveries(1).await;
    assert_eq!(shop.seen()[0].traceparent.as_deref(), Some(TRACE));
}
