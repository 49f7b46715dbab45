//! The life of tasks in a file: deferred, leased by a worker that is killed, and run by the next
//! worker.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gae_tasks::{Client, Defer, deferred};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TASKS: u32 = 40;

/// The time limit of the whole program.
const PATIENCE: Duration = Duration::from_secs(60);

/// The numbers of the tasks that have run.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<BTreeSet<u32>>>);

/// Which process runs the attempts.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// The child, whose attempts wait to be killed.
    Victim,
    Survivor,
}

#[deferred]
async fn note(number: u32, text: String, #[state] role: &Role, #[state] book: &Book) {
    if *role == Role::Victim {
        println!("leased");
        std::future::pending::<()>().await;
    }
    assert_eq!(text, format!("task {number}"));
    book.0.lock().unwrap().insert(number);
}

/// A temporary folder of this process, removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("gae-tasks-sqlite-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("tasks.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs in the child: defers all tasks, and leases them until the child is killed.
pub async fn be_killed(file: &str) -> Result<()> {
    let tasks = open(Path::new(file), Role::Victim).await?.0;
    let first = (0..TASKS / 2).map(|number| note::defer(number, format!("task {number}")));
    tasks.defer_many(first).await?;
    for number in TASKS / 2..TASKS {
        note::defer(number, format!("task {number}")).on(&tasks).await?;
    }
    tasks.worker().await?;
    Ok(())
}

/// Starts a child that defers and leases the tasks, and kills the child while they run.
pub fn kill_a_worker(file: &Path) -> Result<()> {
    let child = Command::new(std::env::current_exe()?).arg(file).stdout(Stdio::piped()).spawn();
    let mut child = child?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    child.kill()?;
    child.wait()?;
    check(line == "leased\n", &format!("the child wrote {line:?}"))
}

/// Opens the file again, and runs a worker on the tasks left by the killed one.
pub async fn run_the_rest(file: &Path) -> Result<()> {
    let (tasks, book) = open(file, Role::Survivor).await?;
    let watched = tasks.clone();
    let until_done = async move {
        while watched.stats().await.is_ok_and(|stats| stats.open() > 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, tasks.worker().with_graceful_shutdown(until_done)).await??;
    let notes = book.0.lock().unwrap().clone();
    check(notes == (0..TASKS).collect(), &format!("only these ran: {notes:?}"))
}

/// The call of a task, to be stored in a transaction of the program's own.
pub fn one_more() -> Defer {
    note::defer(TASKS, format!("task {TASKS}"))
}

/// Opens the file without running its tasks.
pub async fn open_only(file: &Path) -> Result<Client> {
    Ok(open(file, Role::Survivor).await?.0)
}

async fn open(file: &Path, role: Role) -> Result<(Client, Book)> {
    let book = Book::default();
    let builder = Client::builder().state(role).state(book.clone());
    Ok((builder.open(&format!("sqlite:{}", file.display())).await?, book))
}

pub fn check(holds: bool, problem: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(problem.into()) }
}
