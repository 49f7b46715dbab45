//! The tasks of the chaos processes; each attempt writes to the log.

use std::io;
use std::path::Path;
use std::time::Duration;

use gae_tasks::{BoxError, PermanentTaskFailure, TaskContext, deferred};

use super::log::Attempt;
use super::orders::{Order, Then};

/// The interval at which an attempt looks for its orders.
const LOOK: Duration = Duration::from_millis(10);

/// Runs for the given time, and can be cancelled.
#[deferred(queue = "chaos")]
pub async fn hold(millis: u64, #[context] cx: &TaskContext) -> io::Result<()> {
    let attempt = Attempt::begin(cx)?;
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    attempt.end()
}

/// Waits for an order in this file and obeys; can be cancelled.
#[deferred(queue = "chaos")]
pub async fn obey(orders: String, #[context] cx: &TaskContext) -> Result<(), BoxError> {
    let attempt = Attempt::begin(cx)?;
    let order = loop {
        if let Some(order) = Order::find(Path::new(&orders)) {
            break order;
        }
        tokio::time::sleep(LOOK).await;
    };
    tokio::time::sleep(order.pause).await;
    end(attempt, order.then)
}

/// Waits for an order in this file and obeys; blocks the runtime of its worker until then.
#[deferred(queue = "chaos")]
pub async fn block(orders: String, #[context] cx: &TaskContext) -> Result<(), BoxError> {
    let attempt = Attempt::begin(cx)?;
    let order = loop {
        if let Some(order) = Order::find(Path::new(&orders)) {
            break order;
        }
        std::thread::sleep(LOOK);
    };
    std::thread::sleep(order.pause);
    end(attempt, order.then)
}

/// Takes space in the storage.
#[deferred(queue = "chaos")]
pub async fn carry(freight: String, #[context] cx: &TaskContext) -> io::Result<()> {
    let attempt = Attempt::begin(cx)?;
    drop(freight);
    attempt.end()
}

/// Becomes a dead letter.
#[deferred(queue = "chaos")]
pub async fn fail_for_good(#[context] cx: &TaskContext) -> Result<(), BoxError> {
    end(Attempt::begin(cx)?, Then::FailForGood)
}

fn end(attempt: Attempt, then: Then) -> Result<(), BoxError> {
    if then == Then::Die {
        std::process::abort();
    }
    attempt.end()?;
    match then {
        Then::Done | Then::Die => Ok(()),
        Then::Fail => Err("as ordered".into()),
        Then::FailForGood => Err(PermanentTaskFailure::new("as ordered").into()),
    }
}
