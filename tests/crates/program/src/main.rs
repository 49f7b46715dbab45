//! Runs one task of its own crate, one of a crate named only in `link!`, and one of a crate of
//! which it uses only a constant.

use std::error::Error;
use std::path::Path;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Backend, Enqueue, NewTask, TaskRecord};
use gae_tasks::{Client, Defer, Kind, Now, Task, TaskId, TaskSpec, deferred};

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
