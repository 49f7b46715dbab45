//! A field that every payload of a schema lacks is found missing once, and the route is not leased
//! again.

use gae_tasks::backend::{Backend, Enqueue, NewTask};
use gae_tasks::testing::{Fault, Operation};
use gae_tasks::{Client, Defer, Kind, QueueName, Task, TaskId, TaskSpec};

use super::stage::{Running, World, reason, versions};

versions! {
    drained {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64 }

        #[deferred(name = "rolling/drained")]
        pub async fn task(order: Order, #[state] ran: &Ran) {
            ran.note(format!("old: {}", order.id));
        }
    } => {
        use std::sync::atomic::{AtomicUsize, Ordering};

        pub static DECODED: AtomicUsize = AtomicUsize::new(0);

        #[derive(Serialize, Deserialize)]
        pub struct Order {
            #[serde(deserialize_with = "counted")]
            pub id: u64,
            pub tax: u64,
        }

        fn counted<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
            let id = u64::deserialize(deserializer)?;
            DECODED.fetch_add(1, Ordering::SeqCst);
            Ok(id)
        }

        #[deferred(name = "rolling/drained")]
        pub async fn task(order: Order, #[state] ran: &Ran) {
            ran.note(format!("new: {} {}", order.id, order.tax));
        }
    }

    worked {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64 }

        #[deferred(name = "rolling/worked")]
        pub async fn task(order: Order, #[state] ran: &Ran) {
            ran.note(format!("old: {}", order.id));
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64, pub tax: u64 }

        #[deferred(name = "rolling/worked")]
        pub async fn task(order: Order, #[state] ran: &Ran) {
            ran.note(format!("new: {} {}", order.id, order.tax));
        }
    }

    found_elsewhere {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64 }

        #[deferred(name = "rolling/found_elsewhere")]
        pub async fn task(order: Order, #[state] ran: &Ran) {
            ran.note(format!("old: {}", order.id));
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64, pub tax: u64 }

        #[deferred(name = "rolling/found_elsewhere")]
        pub async fn task(order: Order, #[state] ran: &Ran) {
            ran.note(format!("new: {} {}", order.id, order.tax));
        }
    }

    then_an_upgrade {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64 }

        #[deferred(name = "rolling/then_an_upgrade")]
        pub async fn task(order: Order, #[state] ran: &Ran) {
            ran.note(format!("old: {}", order.id));
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64, pub tax: u64 }

        #[derive(Deserialize)]
        struct V1 { order: OrderV1 }

        #[derive(Deserialize)]
        struct OrderV1 { id: u32 }

        fn from_v1(old: V1) -> TaskArgs {
            TaskArgs { order: Order { id: old.order.id.into(), tax: 19 } }
        }

        #[deferred(name = "rolling/then_an_upgrade", upgrade = from_v1)]
        pub async fn task(order: Order, #[state] ran: &Ran) {
            ran.note(format!("new: {} {}", order.id, order.tax));
        }
    }

    within_a_list {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64 }

        #[deferred(name = "rolling/within_a_list")]
        pub async fn task(orders: Vec<Order>, #[state] ran: &Ran) {
            ran.note(format!("old: {}", orders.len()));
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64, pub tax: u64 }

        #[deferred(name = "rolling/within_a_list")]
        pub async fn task(orders: Vec<Order>, #[state] ran: &Ran) {
            ran.note(format!("new: {}", orders.len()));
        }
    }

    another_schema {
        #[deferred(name = "rolling/another_schema")]
        pub async fn task(from: u64, to: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {from} {to}"));
        }
    } => {
        #[deferred(name = "rolling/another_schema")]
        pub async fn task(to: u64, from: u64, copies: Option<u8>, #[state] ran: &Ran) {
            ran.note(format!("new: {from} {to} {copies:?}"));
        }
    }
}

/// Defers five calls, and returns the tasks in order.
async fn five(program: &Client, call: impl Fn(u64) -> Defer) -> Vec<TaskId> {
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(call(number).on(program).await.unwrap().id);
    }
    ids
}

/// How often readers have refused each of these tasks.
async fn refusals(world: &World, program: &Client, ids: &[TaskId]) -> Vec<u32> {
    let mut refusals = Vec::new();
    for id in ids {
        let record = world.record(program, *id).await;
        assert_eq!(record.attempts, 0);
        refusals.push(record.refusals);
    }
    refusals
}

const MISSING: &str =
    "field `order.tax` is missing from the stored payload: add `#[serde(default)]`";

#[tokio::test]
async fn a_missing_field_is_met_once_and_then_the_route_waits() {
    use std::sync::atomic::Ordering;

    use drained::{new, old};
    let mut is_known = false;
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let ids = five(&after, |id| old::task::defer(old::Order { id })).await;
        let decoded = new::DECODED.load(Ordering::SeqCst);
        assert_eq!(world.run(&after).await, [""; 0]);
        let first = u32::from(!is_known);
        assert_eq!(new::DECODED.load(Ordering::SeqCst) - decoded, first as usize, "decoded once");
        assert_eq!(refusals(&world, &after, &ids).await, [first, 0, 0, 0, 0]);
        let why = reason(&after).await;
        assert!(why.contains(MISSING), "{why}");
        let mut ran = world.run(&before).await;
        ran.sort();
        assert_eq!(ran, [0, 1, 2, 3, 4].map(|id| format!("old: {id}")));
        is_known = true;
    }
}

/// Lets a worker do all that it can do without time.
async fn turns() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_worker_that_finds_a_field_missing_does_not_lease_the_route_again() {
    use worked::{new, old};
    let world = World::with_worker();
    let after = world.program::<new::task>();
    let worker = Running::start(&after);
    let id = old::task::defer(old::Order { id: 0 }).on(&after).await.unwrap().id;
    while world.record(&after, id).await.refusals == 0 {
        tokio::task::yield_now().await;
    }
    let settled = world.storage.calls(Operation::Settle);
    let others = five(&after, |id| old::task::defer(old::Order { id })).await;
    // The pause of the first is over too.
    world.clock.advance(std::time::Duration::from_secs(60));
    turns().await;
    assert_eq!(world.storage.calls(Operation::Settle), settled, "none was leased");
    assert_eq!(refusals(&world, &after, &others).await, [0; 5]);
    assert_eq!(refusals(&world, &after, &[id]).await, [1]);
    worker.finish().await;
}

#[tokio::test]
async fn a_worker_learns_what_another_of_its_process_has_found_missing() {
    use found_elsewhere::{new, old};
    let (world, elsewhere) = (World::with_worker(), World::with_worker());
    let after = world.program::<new::task>();
    let ids = five(&after, |id| old::task::defer(old::Order { id })).await;
    let storage = world.storage.clone().with(Operation::Lease, 1, Fault::Late);
    let worker = Running::start(&after);
    while storage.stalled() == 0 {
        tokio::task::yield_now().await;
    }
    // The tasks are leased, and the worker does not have them yet.
    let other = elsewhere.program::<new::task>();
    old::task::defer(old::Order { id: 0 }).on(&other).await.unwrap();
    assert_eq!(elsewhere.run(&other).await, [""; 0]);
    storage.let_go();
    while after.stats().await.unwrap().leased > 0 {
        tokio::task::yield_now().await;
    }
    let settled = storage.calls(Operation::Settle);
    turns().await;
    assert_eq!(storage.calls(Operation::Settle), settled, "they are not leased again");
    assert_eq!(refusals(&world, &after, &ids).await, [0; 5]);
    worker.finish().await;
}

#[tokio::test]
async fn after_a_missing_field_an_upgrade_by_name_has_its_turn() {
    use then_an_upgrade::{new, old};
    let world = World::with_worker();
    let after = world.program::<new::task>();
    five(&after, |id| old::task::defer(old::Order { id })).await;
    let ran = world.run(&after).await;
    assert_eq!(ran, [0, 1, 2, 3, 4].map(|id| format!("new: {id} 19")));
}

#[tokio::test]
async fn a_field_that_only_some_payloads_lack_is_the_values() {
    use within_a_list::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let id = old::task::defer(vec![old::Order { id: 1 }]).on(&after).await.unwrap().id;
        old::task::defer(Vec::new()).on(&after).await.unwrap();
        assert_eq!(world.run(&after).await, ["new: 0"]);
        assert_eq!(refusals(&world, &after, &[id]).await, [1]);
        assert!(reason(&after).await.contains("could not read the values"), "not all of the route");
        assert_eq!(world.run(&before).await, ["old: 1"]);
    }
}

#[tokio::test]
async fn a_payload_beside_the_schema_of_another_shape_is_never_read() {
    use another_schema::{new, old};
    let swapped = new::task::registration().schema().unwrap();
    for world in World::each().await {
        let after = world.program::<new::task>();
        let kind = Kind::new(old::task::KIND).unwrap();
        // Damage, or a hash that two schemas share.
        let shape = old::task::registration().shape().unwrap();
        let spec = TaskSpec::new(TaskId::from_bytes([7; 16]), kind, shape, QueueName::DEFAULT);
        let task = NewTask::new(spec, vec![1, 2], swapped.as_bytes());
        let now = gae_tasks::Now::At(world.clock.time());
        world.storage.enqueue(Enqueue::new(now, vec![task])).await.unwrap()[0].as_ref().unwrap();
        assert_eq!(world.run(&after).await, [""; 0]);
        let why = reason(&after).await;
        assert!(why.contains("is not stored, or what is stored for it is damaged"), "{why}");
    }
}
