//! Tasks in transactions of the application: a business row and a task, compared with the same
//! transaction with one insert into a narrow table; and a task that is completed in its handler's
//! transaction, compared with one that a worker settles.
//!
//! ```text
//! cargo bench -p gae-tasks --bench transaction [-- ROUNDS]
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gae_tasks::{BoxError, Client, TaskContext, deferred};
use rusqlite::{Connection, TransactionBehavior};

/// Transactions of each kind in a round.
const TRANSACTIONS: usize = 500;

/// Tasks of each kind that end in a round.
const TASKS: usize = 300;

/// The file of the application.
struct Shop(PathBuf);

#[deferred(queue = "emails")]
async fn send_receipt(_order: u64, _to: String, _subject: String) {}

#[deferred(queue = "settled")]
fn settled(order: u64, #[state] file: &Shop) -> Result<(), BoxError> {
    application(&file.0, |connection| {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        insert(&tx, order)?;
        Ok(tx.commit()?)
    })
}

#[deferred(queue = "completed")]
fn completed(
    order: u64,
    #[state] file: &Shop,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    application(&file.0, |connection| {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        insert(&tx, order)?;
        cx.complete_in(&tx)?;
        Ok(tx.commit()?)
    })
}

/// Does `work` with this thread's connection.
fn application(
    file: &Path,
    work: impl FnOnce(&mut Connection) -> Result<(), BoxError>,
) -> Result<(), BoxError> {
    thread_local! {
        static OPEN: std::cell::RefCell<Option<Connection>> =
            const { std::cell::RefCell::new(None) };
    }
    OPEN.with_borrow_mut(|connection| work(connection.get_or_insert_with(|| open(file, "FULL"))))
}

fn open(file: &Path, synchronous: &str) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    let tables =
        "CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS narrow (number INTEGER PRIMARY KEY, payload BLOB NOT NULL)";
    connection.execute_batch(tables).unwrap();
    connection
}

fn insert(tx: &Connection, order: u64) -> rusqlite::Result<usize> {
    let text = format!("order {order} with the text of a row of business data");
    tx.prepare_cached("INSERT INTO orders (text) VALUES (?1)")?.execute([text])
}

fn narrow(connection: &mut Connection, order: u64) -> Duration {
    let begun = Instant::now();
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    insert(&tx, order).unwrap();
    let statement = tx.prepare_cached("INSERT INTO narrow (payload) VALUES (?1)");
    statement.unwrap().execute([[b'x'; 67]]).unwrap();
    tx.commit().unwrap();
    begun.elapsed()
}

fn in_tx(connection: &mut Connection, order: u64, tasks: &Client) -> Duration {
    let begun = Instant::now();
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    insert(&tx, order).unwrap();
    let (to, subject) = ("someone@mail.example.org", "a subject that is forty characters long");
    send_receipt::defer(order, to, subject).on(tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    begun.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Runs the tasks of a queue, one at a time, until none is left.
async fn drained(tasks: &Client, queue: &str) -> Duration {
    let (watched, of) = (tasks.clone(), queue.to_owned());
    let until_done = async move {
        let is_left = async || {
            let lines = watched.stats_by_route().await.unwrap();
            lines.iter().any(|line| line.queue.as_str() == of && line.stats.open() > 0)
        };
        while is_left().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let begun = Instant::now();
    let worker = tasks.worker().queues([queue]).concurrency(1);
    worker.with_graceful_shutdown(until_done).await.unwrap();
    begun.elapsed()
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let rounds = arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(5);
    let folder = std::env::temp_dir().join(format!("gae-tasks-transaction-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("shop.db");
    let tasks = Client::builder().state(Shop(file.clone()));
    let tasks = tasks.open(&format!("sqlite:{}", file.display())).await.unwrap();
    println!("a business row and a task, against a business row and a narrow row: median");
    for synchronous in ["FULL", "NORMAL"] {
        let mut connection = open(&file, synchronous);
        for _ in 0..rounds {
            let (mut plain, mut ours) = (Vec::new(), Vec::new());
            for order in 0..TRANSACTIONS as u64 {
                // In turn, so that both see the same disk.
                plain.push(narrow(&mut connection, order));
                ours.push(in_tx(&mut connection, order, &tasks));
            }
            let (plain, ours) = (median(&mut plain), median(&mut ours));
            let ratio = ours.as_secs_f64() / plain.as_secs_f64();
            println!("{synchronous:<8} {plain:>10.1?} {ours:>10.1?}   {ratio:.2}");
        }
    }
    println!("{TASKS} tasks that write a row and are settled, against complete_in: in all");
    for _ in 0..rounds {
        tasks.defer_many((0..TASKS as u64).map(settled::defer)).await.unwrap();
        tasks.defer_many((0..TASKS as u64).map(completed::defer)).await.unwrap();
        let plain = drained(&tasks, "settled").await;
        let ours = drained(&tasks, "completed").await;
        let ratio = ours.as_secs_f64() / plain.as_secs_f64();
        println!("{:<8} {plain:>10.1?} {ours:>10.1?}   {ratio:.2}", "FULL");
    }
    drop(tasks);
    std::fs::remove_dir_all(folder).unwrap();
}
