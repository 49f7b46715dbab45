//! What each version does: `rolling_old VERB URL LEDGER [SEED [COUNT]]`.
//!
//! `work` leases and runs tasks; `serve` runs those that a queue pushes, and prints its address;
//! `defer` defers random tasks, COUNT of them or until it is killed; `report` prints a [`Report`].
//! All but `report` end when their input does, so that none outlives the test.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use gae_tasks::push::DeadLetter;
use gae_tasks::push::verify::SharedSecret;
use gae_tasks::{Args, BoxError, Client, Defer};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Ledger, Line, Random, Report, Version};

/// The queue of all tasks.
pub const QUEUE: &str = "rolling";

/// How many callers defer at the same time.
const CALLERS: u64 = 4;

/// Short, so that tests can stop a process for longer.
const LEASE: Duration = Duration::from_secs(1);

/// The secret that whoever passes on the queue's requests adds to them.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A task to defer.
#[derive(Debug)]
pub struct Order {
    /// The name of its function.
    pub edit: &'static str,
    /// Its args by name, with its `number`.
    pub values: Value,
    /// The call.
    pub task: Defer,
}

impl Order {
    /// Creates the order of a task with these args.
    ///
    /// # Panics
    /// Panics if the args are not JSON.
    pub fn new<A: Args + Serialize>(edit: &'static str, args: &A) -> Self {
        let values = serde_json::to_value(args).expect("the args are JSON");
        Self { edit, values, task: Defer::new(args) }
    }
}

/// A version of the program.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Which version it is.
    pub version: Version,
    /// Makes a task with random values. Turns that follow each other are of different functions,
    /// and have plain and unusual values in turn.
    pub order: fn(turn: u64, random: &mut Random) -> Order,
}

impl Program {
    /// Does what the command line says.
    ///
    /// # Errors
    /// The command line is wrong, or the queue or the socket cannot be used.
    pub fn main(self) -> Result<(), BoxError> {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let [verb, url, ledger, numbers @ ..] = &arguments[..] else {
            return Err("name a verb, a URL and a ledger".into());
        };
        let ledger = Ledger::open(self.version, Path::new(ledger))?;
        let numbers = numbers.iter().map(|text| text.parse()).collect::<Result<Vec<u64>, _>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let tasks = Client::builder().state(ledger.clone()).open(url).await?;
            if verb != "report" {
                std::thread::spawn(end_with_input);
            }
            match verb.as_str() {
                "work" => {
                    let worker = tasks.worker().lease(LEASE);
                    Ok(worker.with_graceful_shutdown(gae_tasks::signals()).await?)
                }
                "serve" => serve(&tasks, ledger).await,
                "defer" => self.defer(tasks, ledger, &numbers).await,
                "report" => report(&tasks).await,
                _ => Err(format!("`{verb}` is no verb").into()),
            }
        })
    }

    async fn defer(self, tasks: Client, ledger: Ledger, numbers: &[u64]) -> Result<(), BoxError> {
        let seed = numbers.first().copied().unwrap_or_default();
        let count = numbers.get(1).copied().unwrap_or(u64::MAX);
        let turns = Arc::new(AtomicU64::new(0));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (tasks, ledger, turns) = (tasks.clone(), ledger.clone(), Arc::clone(&turns));
            callers.spawn(async move {
                let mut random = Random::new(seed.wrapping_add(caller));
                // What is killed soon begins with other functions than the last one did.
                let first = if count == u64::MAX { random.number() % 1_000 } else { 0 };
                loop {
                    let turn = turns.fetch_add(1, Ordering::Relaxed);
                    if turn >= count {
                        break;
                    }
                    defer_one((self.order)(first + turn, &mut random), &tasks, &ledger).await;
                    tokio::time::sleep(random.millis(0..12)).await;
                }
            });
        }
        callers.join_all().await;
        Ok(())
    }
}

/// Notes what is meant, defers it, and notes that it is stored.
async fn defer_one(order: Order, tasks: &Client, ledger: &Ledger) {
    let number = order.values["number"].as_u64().expect("every task has a number");
    ledger.meant(order.edit, &order.values);
    // Some have a time of their own.
    let pause = Duration::from_millis(if number.is_multiple_of(8) { number % 64 } else { 0 });
    let task = if pause.is_zero() { order.task } else { order.task.after(pause) };
    ledger.write(&match task.on(tasks).await {
        Ok(_) => Line::Stored { number },
        Err(error) => Line::Failed { number, error: error.to_string() },
    });
}

async fn serve(tasks: &Client, ledger: Ledger) -> Result<(), BoxError> {
    let bury = move |letter: DeadLetter| {
        let (kind, error) = (letter.task.spec.kind.to_string(), letter.error);
        ledger.write(&Line::Buried { kind, error });
        std::future::ready(Ok::<_, BoxError>(()))
    };
    let service = tasks.push_service().verify(SharedSecret::new(SECRET)?).dead_letters_to(bury);
    let router = Router::new().fallback_service(service.build()?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let served = axum::serve(listener, router);
    Ok(served.with_graceful_shutdown(gae_tasks::signals()).await?)
}

async fn report(tasks: &Client) -> Result<(), BoxError> {
    println!("{}", serde_json::to_string(&Report::of(tasks).await?)?);
    Ok(())
}

/// Ends the process when the test has ended.
fn end_with_input() {
    _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(1);
}
