//! Runs one task of its own crate, one of a crate named only in `link!`, and one of a crate of
//! which it uses only a constant. The schema of another task is the same in every build.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Backend, Enqueue, NewTask, TaskRecord};
use gae_tasks::{Client, Defer, Kind, Now, Task, TaskId, TaskSpec, deferred};
use serde::{Deserialize, Serialize};

// The only mention of the crate in this program.
gae_tasks::link!(gae_tasks_tests_linked);

/// Tasks that this program can name; their payloads also serve the tasks of the other crates, which
/// it cannot name.
#[deferred]
fn write(file: String, text: String) -> std::io::Result<()> {
    std::fs::write(file, text)
}

#[deferred]
fn takes_a_byte(_: u8) {}

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
    lines: Vec<(u16, String)>,
    state: State,
    parent: Option<Box<Order>>,
    rates: BTreeMap<String, f64>,
}

#[derive(Serialize, Deserialize)]
enum State {
    Open,
    Shipped { at: u64, by: Option<String> },
    Returned(i32, char),
}

#[deferred]
fn takes_an_order(order: Order) {
    _ = (order.id, order.lines, order.state, order.parent, order.rates);
}

/// Stored tasks carry the schema and the shape of their args: no compiler and no setting of a build
/// changes them.
const SCHEMA: &str = "(order: #1 {id: u64, lines: Vec<(u16, String)>, state: enum {Open, \
                      Shipped {at: u64, by: Option<String>}, Returned(i32, char)}, \
                      parent: Option<#1>, rates: Map<String, f64>})";
const SHAPE: &str = "015780996f4d7a22";

const LINKED: &str = "gae_tasks_tests_linked.reports/write_report";
const TOUCHED: &str = "gae_tasks_tests_touched/nobody_mentions_me";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder to write to")?;
    let file = |name: &str| Path::new(&folder).join(name).display().to_string();
    let text = gae_tasks_tests_touched::GREETING;
    run(write::defer(file("own"), text), write::KIND).await?;
    run(write::defer(file("linked"), text), LINKED).await?;
    run(takes_a_byte::defer(1), TOUCHED).await?;
    for name in ["own", "linked"] {
        let found = std::fs::read_to_string(file(name))?;
        check(found == text, &format!("the task that writes `{name}` wrote {found:?}"))?;
    }
    let registration = takes_an_order::registration();
    let (schema, shape) = (registration.schema()?.to_string(), registration.shape()?.to_string());
    check(schema == SCHEMA && shape == SHAPE, &format!("shape {shape}: {schema}"))?;
    println!("3 of 3 ran");
    Ok(())
}

/// Runs a task of `kind` that has the parameters of `task`.
async fn run(task: Defer, kind: &str) -> Result<(), Box<dyn Error>> {
    let record = stored(task).await?;
    let backend = Memory::new();
    let tasks = vec![of_kind(kind, record)?];
    let answers = backend.enqueue(Enqueue::new(Now::Storage, tasks)).await?;
    check(answers.iter().all(Result::is_ok), "the task is not stored")?;
    let client = Client::builder().build(backend)?;
    let known: Vec<_> = client.registry().kinds().collect();
    check(known.contains(&kind), &format!("`{kind}` is not registered, these are: {known:?}"))?;
    check(client.drain().await? == 1, &format!("`{kind}` was not attempted"))?;
    check(client.stats().await?.open() == 0, &format!("`{kind}` is not done"))
}

async fn stored(task: Defer) -> Result<TaskRecord, Box<dyn Error>> {
    let client = Client::open("memory:").await?;
    let id = task.on(&client).await?.id;
    Ok(client.get(id).await?.ok_or("the task is not stored")?)
}

fn of_kind(kind: &str, record: TaskRecord) -> Result<NewTask, gae_tasks::Error> {
    Ok(NewTask::new(
        TaskSpec::new(
            TaskId::from_bytes([1; 16]),
            Kind::new(kind)?,
            record.spec.shape,
            record.spec.queue,
        ),
        record.payload.unwrap_or_default(),
        [],
    ))
}

fn check(holds: bool, problem: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(problem.into()) }
}
