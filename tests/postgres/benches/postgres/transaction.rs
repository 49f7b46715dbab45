//! Tasks in transactions of the application: stored with a business row, or completed with one.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gae_tasks::{BoxError, Client, Defer, Task, TaskContext, deferred};
use gae_tasks_tests_postgres::raw::{self, Times};
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{Connection, PgPool, Postgres, Transaction};

use crate::load::{self, Left};
use crate::place::{Place, SCHEMA};
use crate::report::{Bar, Figure, in_turn};

/// The transactions with a task of a round.
const TRANSACTIONS: usize = 1_000;

/// The tasks of a round that end.
const TASKS: usize = 2_000;

/// Measures `in_tx` beside a plain insert into a narrow table.
pub(crate) async fn in_tx(place: &Place, round: usize) -> Result<Vec<Figure>, BoxError> {
    let (ours, bare) = in_turn(round, stored(place), stored_bare(place)).await?;
    let name = "in_tx: a transaction with a business row and a task, p50";
    Ok(vec![Figure::times(name, Bar::AtMost(1.3), ours.p50(), bare.p50())])
}

/// Measures `complete_in` beside the same handler without it, whose tasks the worker settles: the
/// time of a task, from the begin of the first handler until all tasks are recorded as done and the
/// worker has ended. The worker runs one handler at a time, and settles while it runs the next.
pub(crate) async fn complete_in(place: &Place, round: usize) -> Result<Vec<Figure>, BoxError> {
    let completing = ended(place, completed::QUEUE, completed::defer);
    let settling = ended(place, settled::QUEUE, settled::defer);
    let (ours, other) = in_turn(round, completing, settling).await?;
    let name = "complete_in: a task, beside one that is settled";
    Ok(vec![Figure::times(name, Bar::AtMost(1.3), ours, other)])
}

async fn stored(place: &Place) -> Result<Times, BoxError> {
    let url = place.empty_queue().await?;
    raw::create(place.url()).await?;
    let client = Client::open(&url).await?;
    let mut connection = PgConnection::connect(place.url()).await?;
    let mut times = Vec::new();
    for _ in 0..TRANSACTIONS {
        let began = Instant::now();
        let mut tx = connection.begin().await?;
        raw::insert_business_row(&mut tx).await?;
        load::call().on(&client).in_tx(&mut tx).await?;
        tx.commit().await?;
        times.push(began.elapsed());
    }
    connection.close().await?;
    Ok(Times::new(times))
}

async fn stored_bare(place: &Place) -> Result<Times, BoxError> {
    let url = place.bare_tables().await?;
    Ok(raw::transactions(url, TRANSACTIONS).await?)
}

/// What the handlers share.
#[derive(Clone, Debug)]
struct Shop {
    pool: PgPool,
    /// When the first handler began.
    began: Arc<OnceLock<Instant>>,
    left: Left,
}

impl Shop {
    /// Begins the transaction of a handler, with its business row.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.began.get_or_init(Instant::now);
        let mut tx = self.pool.begin().await?;
        raw::insert_business_row(&mut tx).await?;
        Ok(tx)
    }

    async fn commit(&self, tx: Transaction<'static, Postgres>) -> Result<(), sqlx::Error> {
        tx.commit().await?;
        self.left.one_less();
        Ok(())
    }
}

#[deferred(queue = "bench-settled")]
async fn settled(_order: u64, #[state] shop: &Shop) -> Result<(), BoxError> {
    let tx = shop.begin().await?;
    shop.commit(tx).await?;
    Ok(())
}

#[deferred(queue = "bench-completed")]
async fn completed(
    _order: u64,
    #[state] shop: &Shop,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    let mut tx = shop.begin().await?;
    cx.complete_in(&mut tx).await?;
    shop.commit(tx).await?;
    Ok(())
}

/// Returns how long a task takes that a worker runs one after the other.
async fn ended(place: &Place, queue: &str, call: fn(u64) -> Defer) -> Result<Duration, BoxError> {
    let url = place.empty_queue().await?;
    raw::create(place.url()).await?;
    // A pool asks before each use whether a connection lives: a round trip that is not measured.
    let pool = PgPoolOptions::new().max_connections(2).test_before_acquire(false);
    let pool = pool.connect(place.url()).await?;
    let shop = Shop { pool, began: Arc::default(), left: Left::of(TASKS) };
    let client = Client::builder().state(shop.clone()).open(&url).await?;
    client.defer_many((0..TASKS as u64).map(call)).await?;
    place.rest(SCHEMA).await?;
    let worker = client.worker().queues([queue]).concurrency(1);
    worker.with_graceful_shutdown(shop.left.clone().none()).await?;
    let began = shop.began.get().ok_or("no handler has begun")?;
    let time = began.elapsed();
    assert_eq!(client.stats().await?.open(), 0, "tasks were left");
    Ok(time / u32::try_from(TASKS)?)
}
