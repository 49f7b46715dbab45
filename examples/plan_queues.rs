//! Queues from App Engine's `queue.yaml`, compared with the stored ones and made so:
//! `cargo run --example plan_queues -- sqlite:tasks.db --file examples/queue.yaml --apply`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use gae_tasks::{Client, QueuePlan, Queues, deferred};

/// Its queue is part of every plan, whether or not the file names it.
#[deferred(name = "shop.reports/print", queue = "reports")]
async fn print_report(number: u64) {
    println!("report {number}");
}

/// Shows what has to change so that the stored queues are those of a `queue.yaml`, and ends with 0
/// if that is nothing, with 1 if it is something, and with 2 if that cannot be known.
#[derive(Debug, Parser)]
struct Arguments {
    /// The URL of the queue; by default the variable `GAE_TASKS_URL`.
    url: Option<String>,
    /// The file.
    #[arg(long, default_value = "queue.yaml")]
    file: PathBuf,
    /// Makes the changes, and ends with 0 then.
    #[arg(long)]
    apply: bool,
    /// Also deletes stored queues that neither the file nor a task names, if they are empty.
    #[arg(long)]
    delete_extra: bool,
}

async fn plan(arguments: &Arguments) -> anyhow::Result<QueuePlan> {
    let file = std::fs::read_to_string(&arguments.file)
        .with_context(|| format!("cannot read {}", arguments.file.display()))?;
    let queues: Queues = file.parse()?;
    let tasks = match &arguments.url {
        Some(url) => Client::open(url).await?,
        None => Client::from_env().await?,
    };
    let plan = tasks.plan_queues(queues).await?;
    Ok(if arguments.delete_extra { plan.delete_extra() } else { plan })
}

async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let plan = plan(arguments).await?;
    println!("{plan}");
    let has_changes = !plan.is_empty();
    if arguments.apply {
        plan.apply().await?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if has_changes { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

#[tokio::main]
async fn main() -> ExitCode {
    run(&Arguments::parse()).await.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::from(2)
    })
}
