//! A program that compares itself with the tasks that wait for it, before it is deployed:
//! `cargo run --example check_deploy -- 'sqlite:tasks.db?mode=rw'`

use std::process::ExitCode;

use clap::Parser;
use gae_tasks::{Client, DeployReport, deferred};

#[deferred(name = "shop.emails/send_welcome", queue = "emails")]
async fn send_welcome(user_id: u64, #[default("en".to_owned())] language: String) {
    println!("user {user_id} is welcome in {language}");
}

/// Compares this program with the stored tasks, changes nothing, and ends with 0 if it can run all
/// of them, with 1 if some would wait, and with 2 if that cannot be known.
#[derive(Debug, Parser)]
struct Arguments {
    /// The URL of the queue; by default the variable `GAE_TASKS_URL`.
    url: Option<String>,
    /// How many payloads of each kind and shape are read.
    #[arg(long, default_value_t = 1_000)]
    values: usize,
}

async fn check(Arguments { url, values }: Arguments) -> anyhow::Result<DeployReport> {
    let tasks = match url {
        Some(url) => Client::open(&url).await?,
        None => Client::from_env().await?,
    };
    Ok(tasks.check_deploy().values(values).await?)
}

#[tokio::main]
async fn main() -> ExitCode {
    match check(Arguments::parse()).await {
        Ok(report) => {
            println!("{report}");
            match (report.stranded(), report.is_safe()) {
                (0, true) => ExitCode::SUCCESS,
                // A queue may not be read, or the payload store fails.
                (0, false) => ExitCode::from(2),
                _ => ExitCode::from(1),
            }
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
