//! An instance of a program, for tests that need another process: `instance VERB [URL]`.

use std::future::Future;
use std::io::Read;

use gae_tasks::{Client, Error, Unique, deferred};

// The only mention of the tasks' crate in this program.
gae_tasks::link!(gae_tasks_tests_linked);

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (verb, url) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    match verb.as_str() {
        "work" => run(work(&url)),
        "log" => {
            tracing_subscriber::fmt().with_writer(std::io::stderr).init();
            run(work(&url))
        }
        "listen" => listen_early(&url),
        "two" => run(work_twice(&url)),
        "deaf" => drop_signals(),
        "unique" => run(defer_unique(&url)),
        _ => run(drain(&url)),
    }
}

fn run(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn open(url: &str) -> Result<Client, Error> {
    if url.is_empty() {
        Client::from_env_or("sqlite:gae-tasks.db").await
    } else {
        Client::open(url).await
    }
}

#[deferred(queue = "unique")]
fn once(number: u32) {
    _ = number;
}

/// Defers fifty unique tasks once its input ends, and prints how many of them it has created.
async fn defer_unique(url: &str) -> Result<(), Error> {
    let tasks = open(url).await?;
    println!("ready");
    _ = std::io::stdin().read_to_end(&mut Vec::new());
    let mut created = 0;
    for number in 0..50 {
        let answer = once::defer(number).unique(Unique::by_args()).on(&tasks).await?;
        created += u32::from(answer.created);
    }
    println!("created {created}");
    Ok(())
}

async fn drain(url: &str) -> Result<(), Error> {
    println!("{}", open(url).await?.drain().await?);
    Ok(())
}

async fn work(url: &str) -> Result<(), Error> {
    let tasks = open(url).await?;
    work_until(tasks, gae_tasks::signals()).await
}

async fn work_until(tasks: Client, signals: gae_tasks::Signals) -> Result<(), Error> {
    let shutdown = async {
        signals.await;
        println!("shutting down");
    };
    tasks.worker().with_graceful_shutdown(shutdown).await
}

/// Listens for signals outside of a runtime, and starts a worker when its input ends.
fn listen_early(url: &str) -> Result<(), Error> {
    let signals = gae_tasks::signals();
    println!("listening");
    _ = std::io::stdin().read_to_end(&mut Vec::new());
    run(async { work_until(open(url).await?, signals).await })
}

/// Runs two workers, after dropping a third listener to signals.
async fn work_twice(url: &str) -> Result<(), Error> {
    let tasks = open(url).await?;
    drop(gae_tasks::signals());
    let both =
        [tasks.clone(), tasks].map(|tasks| tokio::spawn(work_until(tasks, gae_tasks::signals())));
    println!("listening");
    for worker in both {
        worker.await.expect("a worker panicked")?;
    }
    // A late listener receives the signal at once.
    gae_tasks::signals().await;
    Ok(())
}

/// Runs on after its signal listener is dropped.
fn drop_signals() -> Result<(), Error> {
    drop(gae_tasks::signals());
    println!("listening");
    loop {
        std::thread::park();
    }
}
