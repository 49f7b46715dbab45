//! Dead letters kept at Google, because an instance's disk is lost with the instance.

use std::time::Duration;

use gae_tasks::backend::cloud_tasks::CloudTasks;
use gae_tasks::backend::{Backend, Bury, NewTask};
use gae_tasks::testing::ManualClock;
use gae_tasks::{
    Cancelled, Client, ClientBuilder, Error, Kind, Now, QueueName, Registry, Shape, TaskId,
    TaskSpec, TaskState,
};
use gae_tasks_tests_push::server::{Fault, Server};

use super::payloads::{LARGE, create, files, with_a_folder};
use super::shop::{PLACE, Shop, ShopSettings, flaky, later, refuse};

async fn shop() -> Shop {
    Shop::open(ShopSettings { letters_at_google: true, ..ShopSettings::http() }).await
}

fn letters(shop: &Shop) -> usize {
    shop.queue.tasks(PLACE, "emails-dead").len()
}

#[tokio::test]
async fn a_dead_letter_is_in_a_paused_queue_beside_that_of_its_task() {
    let shop = shop().await;
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!((shop.waiting(), letters(&shop)), (0, 1));
    assert_eq!(shop.queue.queue(PLACE, "emails-dead").unwrap()["state"], "PAUSED");
    let letter = shop.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((letter.spec.id, letter.state, letter.attempts), (id, TaskState::Dead, 1));
    assert_eq!((letter.spec.queue.as_str(), letter.spec.kind.as_str()), ("emails", "shop/refuse"));
    assert!(
        letter.died.is_some() && letter.errors[0].message.contains("no such order"),
        "{letter:?}"
    );
    assert_eq!(shop.dead_letters().await, [letter]);
    let stats = shop.tasks.stats_of::<refuse>().await.unwrap();
    assert_eq!((stats.dead, stats.open()), (1, 0));
    let lines = shop.tasks.stats_by_route().await.unwrap();
    assert_eq!(lines[0].queue.as_str(), "emails");
}

#[tokio::test]
async fn a_queue_of_dead_letters_that_is_resumed_does_no_harm() {
    let shop = shop().await;
    refuse::defer("x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    shop.tasks.resume("emails-dead").await.unwrap();
    assert_eq!(shop.statuses(2).await, [200, 404]);
    shop.queue.advance(Duration::from_secs(8 * 24 * 60 * 60));
    assert_eq!(
        shop.statuses(3).await,
        [200, 404, 404],
        "though the letter has waited for longer than any task waits"
    );
    assert_eq!((shop.seen().len(), letters(&shop), shop.dead_letters().await.len()), (1, 1, 1));
}

#[tokio::test]
async fn a_replayed_letter_is_a_new_task_of_the_same_id() {
    let shop = shop().await;
    let task = flaky::defer(2, "x").max_attempts(1).named("once").header("X-Tenant", "7");
    task.on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let dead = shop.dead_letters().await.remove(0);
    assert_eq!(dead.spec.name.as_ref().map(|name| name.as_str()), Some("once"));
    shop.tasks.pause("emails").await.unwrap();
    shop.tasks.replay(dead.spec.id).await.unwrap();
    assert_eq!((shop.waiting(), letters(&shop)), (1, 0));
    let task = shop.tasks.get(dead.spec.id).await.unwrap().unwrap();
    assert_eq!(
        (task.state, task.attempts, task.spec.name, &task.payload),
        (TaskState::Scheduled, 0, None, &dead.payload)
    );
    shop.tasks.resume("emails").await.unwrap();
    // The task fails and dies again: this letter has another name, because the first name is
    // blocked.
    assert_eq!(shop.statuses(2).await, [200, 200]);
    assert_eq!(shop.seen().iter().map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 1]);
    assert!(shop.requests().iter().all(|(headers, _)| headers["x-tenant"] == "7"));
    assert_eq!((shop.dead_letters().await[0].spec.id, letters(&shop)), (dead.spec.id, 1));
    shop.tasks.replay(dead.spec.id).await.unwrap();
    assert_eq!(shop.statuses(3).await, [200; 3]);
}

#[tokio::test]
async fn a_replay_that_broke_off_is_repeated_without_a_second_task() {
    let shop = shop().await;
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(1).await, [200]);
    shop.tasks.pause("emails").await.unwrap();
    shop.queue.fault("DeleteTask", Fault::Refuse(403));
    shop.tasks.replay(id).await.unwrap_err();
    assert_eq!((shop.waiting(), letters(&shop)), (1, 1));
    shop.tasks.replay(id).await.unwrap();
    assert_eq!((shop.waiting(), letters(&shop)), (1, 0));
    let refused = shop.tasks.replay(id).await.unwrap_err();
    assert!(
        matches!(refused, Error::NoSuchTask { .. })
            && refused.to_string().contains("not a dead letter"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_letter_is_not_run_by_hand_and_is_deleted_by_its_id() {
    let shop = shop().await;
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(1).await, [200]);
    let refused = shop.tasks.run_now(id).await.unwrap_err();
    assert!(refused.to_string().contains("is a dead letter"), "{refused}");
    assert_eq!(shop.tasks.cancel(id).await.unwrap(), Cancelled::Gone);
    let held = shop.tasks.delete_queue("emails").await.unwrap_err();
    assert!(matches!(held, Error::QueueInUse { tasks: 0, dead_letters: 1, .. }), "{held}");
    assert!(shop.tasks.delete(id).await.unwrap());
    assert_eq!((letters(&shop), shop.tasks.get(id).await.unwrap()), (0, None));
    shop.tasks.delete_queue("emails").await.unwrap();
    assert!(shop.queue.queue(PLACE, "emails-dead").is_none());
}

#[tokio::test]
async fn a_letter_and_the_task_of_its_replay_are_deleted_together() {
    let shop = shop().await;
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    // In the second life the letter has a number in its name too.
    for life in 1..=2 {
        assert_eq!(shop.statuses(life).await, vec![200; life]);
        shop.tasks.pause("emails").await.unwrap();
        shop.queue.fault("DeleteTask", Fault::Refuse(403));
        shop.tasks.replay(id).await.unwrap_err();
        assert_eq!((shop.waiting(), letters(&shop)), (1, 1));
        if life == 1 {
            shop.tasks.replay(id).await.unwrap();
            shop.tasks.resume("emails").await.unwrap();
        }
    }
    assert!(shop.tasks.delete(id).await.unwrap());
    assert_eq!((shop.waiting(), letters(&shop)), (0, 0));

    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(3).await, [200; 3]);
    shop.tasks.pause("emails").await.unwrap();
    shop.queue.fault("DeleteTask", Fault::Refuse(403));
    shop.tasks.replay(id).await.unwrap_err();
    assert!(shop.tasks.delete(id).await.unwrap());
    assert_eq!((shop.waiting(), letters(&shop)), (0, 0));
}

#[tokio::test]
async fn a_letter_is_found_by_the_name_of_its_task() {
    let shop = shop().await;
    for name in ["other", "once"] {
        refuse::defer(name).named(name).on(&shop.tasks).await.unwrap();
    }
    refuse::defer("1").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(3).await, [200; 3]);
    let found = shop.tasks.find("emails", "once").await.unwrap().unwrap();
    assert_eq!((found.state, found.payload.as_deref()), (TaskState::Dead, Some(&b"\x04once"[..])));
    assert_eq!(shop.tasks.find("emails", "1").await.unwrap(), None);
    assert!(shop.tasks.delete(found.spec.id).await.unwrap());
    assert_eq!(shop.tasks.find("emails", "once").await.unwrap(), None);
    assert!(shop.tasks.find("emails", "other").await.unwrap().is_some());
}

#[tokio::test]
async fn the_first_death_in_a_queue_without_one_for_dead_letters_names_the_remedy() {
    let server = Server::start().await;
    let backend = CloudTasks::builder("shop", "europe-west1").anonymous().http("http://a.test");
    let backend = backend.dead_letter_queues().endpoint(server.url()).build().await.unwrap();
    let (id, kind) = (TaskId::from_bytes([7; 16]), Kind::new("shop/idle").unwrap());
    let spec = TaskSpec::new(id, kind, Shape::from_bits(1), QueueName::new("orders").unwrap());
    let task = NewTask::new(spec, Vec::new(), []);
    let bury = Bury::new(Now::Storage, task, 1, None, "no such order".to_owned());
    let error = backend.bury(bury).await.unwrap_err().to_string();
    for part in [
        "`orders-dead`",
        "put_queue(\"orders\"",
        "gcloud tasks queues create orders-dead",
        "gcloud tasks queues pause orders-dead",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_letter_that_cannot_be_kept_stays_a_task() {
    let shop = shop().await;
    shop.tasks.pause("emails").await.unwrap();
    refuse::defer("x").on(&shop.tasks).await.unwrap();
    shop.queue.fault("CreateTask", Fault::Refuse(404));
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(2).await, [500, 200]);
    assert_eq!((shop.waiting(), letters(&shop)), (0, 1));
}

#[tokio::test]
async fn a_body_that_is_no_task_is_a_letter_too() {
    let shop = shop().await;
    shop.tasks.pause("emails").await.unwrap();
    refuse::defer("x").on(&shop.tasks).await.unwrap();
    let mut task = shop.queue.tasks(PLACE, "emails").remove(0);
    task["name"] = format!("{PLACE}/queues/emails/tasks/garbage").into();
    task["httpRequest"]["body"] = "e30=".into();
    create(&shop, task).await;
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(2).await, [200, 200]);
    let dead = shop.dead_letters().await;
    let garbage = dead.iter().find(|letter| letter.payload.as_deref() == Some(b"{}")).unwrap();
    assert_eq!(shop.tasks.get(garbage.spec.id).await.unwrap().as_ref(), Some(garbage));
    // In an envelope of ours it would wait for a program that reads it as it is.
    let refused = shop.tasks.replay(garbage.spec.id).await.unwrap_err();
    assert!(refused.to_string().contains("could not be read"), "{refused}");
    assert_eq!((shop.waiting(), letters(&shop)), (0, 2));
    assert!(shop.tasks.delete(garbage.spec.id).await.unwrap());
    assert_eq!(letters(&shop), 1);
}

#[tokio::test]
async fn the_letter_of_a_copy_has_all_attempts() {
    let shop = shop().await;
    let id = later::defer(0, u32::MAX, "x").max_attempts(3).on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(3).await, [200; 3]);
    let dead = shop.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((dead.state, dead.attempts), (TaskState::Dead, 3));
}

#[tokio::test]
async fn a_sweep_keeps_the_payload_of_a_letter() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let (plan, time) = (with_a_folder(&folder), clock.clone());
    let client = Box::new(move |client: ClientBuilder| (plan.client)(client).clock(time.clone()));
    let shop =
        Shop::open(ShopSettings { client, letters_at_google: true, ..ShopSettings::http() }).await;
    let id = refuse::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(1).await, [200]);
    clock.advance(Duration::from_secs(3 * 60 * 60));
    let hour = Duration::from_secs(60 * 60);
    assert_eq!((shop.tasks.sweep_payloads(hour).await.unwrap(), files(&folder)), (0, 1));
    shop.tasks.replay(id).await.unwrap();
    assert_eq!(shop.statuses(2).await, [200; 2]);
    assert_eq!(shop.seen()[1].text.len(), LARGE);
    assert!(shop.tasks.delete(id).await.unwrap());
    assert_eq!(files(&folder), 0);
}

/// Returns the problems of a push service whose dead letters are kept by this client.
fn problems(tasks: &Client) -> Vec<String> {
    let verifier = gae_tasks::push::verify::AppEngine::assume_headers_are_stripped();
    match tasks.push_service().verify(verifier).dead_letters(tasks).build() {
        Ok(_) => Vec::new(),
        Err(Error::Misconfigured { problems, .. }) => problems,
        Err(other) => panic!("{other}"),
    }
}

async fn client(server: &Server, default_queue: &str, keeps_letters: bool) -> Client {
    let backend =
        CloudTasks::builder("shop", "europe-west1").anonymous().http("http://worker.test");
    let backend = if keeps_letters { backend.dead_letter_queues() } else { backend };
    let backend = backend.endpoint(server.url()).build().await.unwrap();
    let tasks = Registry::new().with::<idle>();
    Client::builder().registry(tasks).default_queues([default_queue]).build_push(backend).unwrap()
}

#[gae_tasks::deferred(name = "shop/idle")]
async fn idle() {}

// While it is built, the service calls the server, which runs on other threads of this runtime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_queue_of_dead_letters_is_missing_is_not_built() {
    let server = Server::start().await;
    server.create_queue(PLACE, "orders");
    let tasks = client(&server, "orders", true).await;
    let missing = problems(&tasks);
    assert_eq!(missing.len(), 1, "{missing:?}");
    for part in [
        "`orders-dead`",
        "is missing",
        "put_queue(\"orders\"",
        "gcloud tasks queues create orders-dead",
        "--max-attempts=-1 --min-backoff=3600s --max-backoff=3600s",
    ] {
        assert!(missing[0].contains(part), "{missing:?}");
    }
    tasks.put_queue("orders", gae_tasks::QueueConfig::new()).await.unwrap();
    // Another process, which did not create the queue, looks for it.
    assert_eq!(problems(&client(&server, "orders", true).await), Vec::<String>::new());
}

/// A server on this thread could not respond while the service is built.
#[tokio::test]
async fn a_process_that_has_made_the_queue_of_dead_letters_does_not_ask_for_it() {
    let server = Server::start().await;
    let tasks = client(&server, "orders", true).await;
    tasks.put_queue("orders", gae_tasks::QueueConfig::new()).await.unwrap();
    assert_eq!((problems(&tasks), server.calls("ListQueues")), (vec![], 0));
}

#[tokio::test]
async fn names_that_leave_no_room_for_dead_letters_are_refused() {
    let server = Server::start().await;
    for (queue, part) in
        [("q".repeat(96), "95 at most"), ("walking-dead".to_owned(), "another name")]
    {
        let tasks = client(&server, &queue, true).await;
        let text = problems(&tasks).join("");
        assert!(text.contains(part), "{text}");
    }
    let tasks = client(&server, "orders", true).await;
    let long = tasks.put_queue("q".repeat(96), gae_tasks::QueueConfig::new()).await.unwrap_err();
    assert!(long.to_string().contains("95 at most"), "{long}");
    assert_eq!(server.calls("UpdateQueue"), 0);
}

#[tokio::test]
async fn a_client_that_keeps_no_dead_letters_names_the_ways() {
    let server = Server::start().await;
    let tasks = client(&server, "orders", false).await;
    let text = problems(&tasks).join("");
    assert!(text.contains("dead_letters=queues") && text.contains("sqlite:FILE"), "{text}");
    tasks.put_queue("orders", gae_tasks::QueueConfig::new()).await.unwrap();
    assert!(server.queue(PLACE, "orders-dead").is_none(), "the queue was not requested");
}
