//! What a lease costs beside very many tasks, and in very many queues.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Lease, LeaseRef, Pull, Room, Routes, Settle, Settlement, Verdict};
use gae_tasks::{BoxError, Client, Now, QueueName};

use crate::load::{self, QUEUE};
use crate::place::{DEEP, Place, SCHEMA};
use crate::report::{Bar, Figure};

/// The tasks in the queue that the others are compared with.
const FEW: usize = 10_000;

/// The queues of the many, and the tasks in each.
const QUEUES: usize = 5_000;
const IN_EACH: usize = 20;

/// The tasks of a lease, and the leases that are measured.
const ROOM: usize = 100;
const LEASES: u32 = 60;

/// The most outcomes that are recorded by one request.
const CHUNK: usize = 1_000;

/// A year.
const LATER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Measures leases beside `deep` waiting tasks and as many future ones, and in many queues, each
/// compared with leases from few tasks in one queue.
pub(crate) async fn measure(
    place: &Place,
    round: usize,
    deep: usize,
) -> Result<Vec<Figure>, BoxError> {
    if round == 1 {
        fill_deep(place, deep).await?;
    }
    let few = of_few(place).await?;
    let ours = lease(&place.queue_in(DEEP), [QueueName::new(QUEUE)?].into()).await?;
    let bar = Bar::AtMost(1.5);
    let name = format!("a lease beside {deep} waiting and {deep} future tasks");
    let deep = Figure::times(name, bar, ours, few);
    let ours = of_many_queues(place).await?;
    Ok(vec![deep, Figure::times(format!("a lease in {QUEUES} queues"), bar, ours, few)])
}

async fn of_few(place: &Place) -> Result<Duration, BoxError> {
    let url = place.empty_queue().await?;
    load::fill(&Client::open(&url).await?, FEW, |_| load::call()).await?;
    place.rest(SCHEMA).await?;
    lease(&url, [QueueName::new(QUEUE)?].into()).await
}

async fn of_many_queues(place: &Place) -> Result<Duration, BoxError> {
    let name = |number: usize| format!("{QUEUE}-{}", number % QUEUES);
    let url = place.empty_queue().await?;
    let client = Client::open(&url).await?;
    load::fill(&client, QUEUES * IN_EACH, |number| load::call().queue(name(number))).await?;
    place.rest(SCHEMA).await?;
    let queues = (0..QUEUES).map(|number| QueueName::new(name(number)));
    lease(&url, queues.collect::<Result<BTreeSet<_>, _>>()?).await
}

/// Returns how long a lease takes on average: what it reads for several leases is in the time of
/// all.
async fn lease(url: &str, queues: BTreeSet<QueueName>) -> Result<Duration, BoxError> {
    let storage = Postgres::open(url).await?;
    let routes = Routes::Only(Arc::new([load::route()].into()));
    let (room, duration) = (Room::new(ROOM), Duration::from_secs(600));
    let mut request = Lease::new(Now::Storage, Arc::new(queues), routes, room, duration);
    let mut held = Vec::new();
    // The first lease reads what the process does not know yet.
    take(&storage, &mut request, &mut held).await?;
    let began = Instant::now();
    for _ in 0..LEASES {
        take(&storage, &mut request, &mut held).await?;
    }
    let time = began.elapsed() / LEASES;
    for leases in held.chunks(CHUNK) {
        let done = leases.iter().map(|lease| Settlement::new(*lease, Verdict::Done)).collect();
        storage.settle(Settle::new(Now::Storage, done)).await?;
    }
    Ok(time)
}

/// Leases tasks as a worker does, whose queues take turns from one lease to the next.
async fn take(
    storage: &Postgres,
    request: &mut Lease,
    held: &mut Vec<LeaseRef>,
) -> Result<(), BoxError> {
    let leased = storage.lease(request.clone()).await?;
    assert_eq!(leased.tasks.len(), ROOM, "a lease was not full");
    request.last_turn = leased.tasks.last().map(|task| task.spec.queue.clone());
    held.extend(leased.tasks.iter().map(|task| task.lease));
    Ok(())
}

/// Stores a waiting and a future task, and multiplies them inside of the server.
async fn fill_deep(place: &Place, deep: usize) -> Result<(), BoxError> {
    place.drop_schema(DEEP).await?;
    let client = Client::open(&place.queue_in(DEEP)).await?;
    client.defer_many([load::call(), load::call().after(LATER)]).await?;
    // Their ids are earlier than those of the two.
    let tasks = format!(
        "INSERT INTO {DEEP}.task (id, lane, created, schedule_time, timed, payload) \
         SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(2 * n + (t.timed IS NOT NULL)::int), \
                 12, '0'))::uuid, \
                t.lane, t.created, t.schedule_time + n, t.timed, t.payload \
         FROM {DEEP}.task t CROSS JOIN generate_series(1, {deep}) n"
    );
    place.execute(&tasks).await?;
    let waiting = format!(
        "INSERT INTO {DEEP}.waiting (lane, due, task, size, standing, timed, named) \
         SELECT lane, schedule_time, id, octet_length(payload), 0, coalesce(timed, false), false \
         FROM {DEEP}.task ON CONFLICT DO NOTHING"
    );
    place.execute(&waiting).await?;
    place.rest(DEEP).await?;
    Ok(())
}
