//! The cost of registered tasks at start: the time from the start of a process to the line that the
//! handler of its first task prints, with 10,000 registered tasks, 20 of whose kinds wait in a
//! SQLite file, and with 1, which waits. The benchmark writes its own workspace, whose crates
//! contain the tasks, and builds it once.
//!
//! ```text
//! cargo bench -p gae-tasks --bench startup [-- STARTS]
//! ```

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Tasks are spread over crates, because the compiler builds several crates at a time and is slow
/// with one large crate.
const CRATES: usize = 10;
const TASKS_OF_A_CRATE: usize = 1_000;

/// How many kinds of the many wait, the first one included.
const STORED: usize = 20;

/// The source of both programs, without the line that links the crates, and what `STORE` stands
/// for. With a second argument a program defers its tasks; without one it runs them until the first
/// one is handled.
const PROGRAM: &str = r#"
use gae_tasks::{Client, Registry, deferred};
use tokio::sync::Notify;

static HANDLED: Notify = Notify::const_new();

#[deferred]
async fn first(_user_id: u64, _to: String, _subject: String) {
    println!("handled");
    HANDLED.notify_one();
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), gae_tasks::Error> {
    let mut arguments = std::env::args().skip(1);
    let tasks = Client::open(&arguments.next().expect("a URL")).await?;
    if arguments.next().is_some() {
        first::defer(42, "someone@mail.example.org", "a subject").on(&tasks).await?;
        STORE
        return Ok(());
    }
    tasks.worker().with_graceful_shutdown(HANDLED.notified()).await?;
    println!("{}", Registry::linked().kinds().count());
    Ok(())
}
"#;

// The crates of tasks are not optimised, to build faster: they contribute only data to the start,
// and `gae-tasks`, which reads the data, is optimised.
const WORKSPACE: &str = r#"
[workspace]
resolver = "3"
members = ["programs", "tasks-*"]

[workspace.package]
edition = "2024"

[workspace.dependencies]
gae-tasks = { path = "GAE_TASKS", default-features = false, features = ["sqlite"] }
tokio = { version = "1", default-features = false, features = ["macros", "rt", "sync", "time"] }

[profile.release]
opt-level = 0

[profile.release.package."*"]
opt-level = 3
"#;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let starts = arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(20);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("startup");
    write_workspace(&folder);
    let programs = build(&folder);
    let files = std::env::temp_dir().join(format!("gae-tasks-startup-{}", std::process::id()));
    let program = |name: &str, tasks| {
        let program = Program { file: programs.join(name), tasks, stored: files.join(name) };
        program.store();
        program
    };
    let one = program("one", 1);
    let many = program("many", 1 + CRATES * TASKS_OF_A_CRATE);
    // The first starts find nothing in the page cache.
    one.start();
    many.start();
    // Measured in turn, so that both see the same machine.
    let (ones, manys): (Vec<_>, Vec<_>) = (0..starts).map(|_| (one.start(), many.start())).unzip();
    fs::remove_dir_all(files).unwrap();
    println!("{starts} starts in turn, from the start of the process to its first handled task");
    println!("{STORED} kinds of the many wait");
    println!("{:<13} {:>9} {:>9} {:>9}", "", "least", "median", "most");
    let medians = [(one.tasks, ones), (many.tasks, manys)].map(|(tasks, mut times)| {
        times.sort();
        let [least, median, most] =
            [0, times.len() / 2, times.len() - 1].map(|at| times[at].as_secs_f64() * 1000.0);
        println!("{tasks:>7} tasks {least:>6.2} ms {median:>6.2} ms {most:>6.2} ms");
        median
    });
    println!("more by {:.2} ms", medians[1] - medians[0]);
}

struct Program {
    file: PathBuf,
    tasks: usize,
    /// The folder of the database with the tasks that wait.
    stored: PathBuf,
}

impl Program {
    /// Defers the tasks that wait.
    fn store(&self) {
        fs::create_dir_all(&self.stored).unwrap();
        let status = Command::new(&self.file).arg(url(&self.stored)).arg("store").status();
        assert!(status.unwrap().success());
    }

    /// Returns the time to the program's first handled task. It runs the tasks of a copy.
    fn start(&self) -> Duration {
        let copy = self.stored.with_extension("copy");
        fs::create_dir_all(&copy).unwrap();
        for file in fs::read_dir(&self.stored).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        let begun = Instant::now();
        let mut process =
            Command::new(&self.file).arg(url(&copy)).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let took = begun.elapsed();
        assert_eq!(first, "handled");
        assert_eq!(lines.next().unwrap().unwrap(), self.tasks.to_string(), "tasks are registered");
        assert!(process.wait().unwrap().success());
        fs::remove_dir_all(copy).unwrap();
        took
    }
}

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("tasks.db").display())
}

fn write_workspace(folder: &Path) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    write(
        &folder.join("Cargo.toml"),
        WORKSPACE.trim_start().replace("GAE_TASKS", &own.display().to_string()),
    );
    // Uses the locked versions of this workspace, if it has a lock file.
    if let Ok(lock) = fs::read_to_string(own.join("../Cargo.lock")) {
        write(&folder.join("Cargo.lock"), lock);
    }
    let crates: Vec<_> = (0..CRATES).map(|number| format!("tasks-{number}")).collect();
    for name in &crates {
        let tasks: String = (0..TASKS_OF_A_CRATE).map(task).collect();
        write_crate(&folder.join(name), &["gae-tasks"]);
        write(&folder.join(name).join("src/lib.rs"), format!("use gae_tasks::deferred;\n{tasks}"));
    }
    let programs = folder.join("programs");
    let linked: Vec<_> = crates.iter().map(|name| name.replace('-', "_")).collect();
    let used: Vec<_> = crates.iter().map(String::as_str).chain(["gae-tasks", "tokio"]).collect();
    write_crate(&programs, &used);
    write(&programs.join("src/bin/one.rs"), PROGRAM.replace("STORE", ""));
    let stored: Vec<_> = (1..STORED)
        .map(|number| {
            let name = &linked[number % CRATES];
            format!("{name}::task_{number:03}::defer(7, \"to\", \"subject\").on(&tasks).await?;")
        })
        .collect();
    let many = PROGRAM.replace("STORE", &stored.join("\n        "));
    write(
        &programs.join("src/bin/many.rs"),
        format!("gae_tasks::link!({});\n{many}", linked.join(", ")),
    );
}

fn task(number: usize) -> String {
    format!(
        "\n#[deferred]\npub async fn task_{number:03}(user_id: u64, to: String, subject: String) \
         {{\n    \
         std::hint::black_box((user_id, to, subject));\n}}\n"
    )
}

fn write_crate(folder: &Path, dependencies: &[&str]) {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let mut manifest =
        format!("[package]\nname = \"{name}\"\nedition.workspace = true\n\n[dependencies]\n");
    for dependency in dependencies {
        manifest += &match dependency.starts_with("tasks-") {
            true => format!("{dependency} = {{ path = \"../{dependency}\" }}\n"),
            false => format!("{dependency}.workspace = true\n"),
        };
    }
    write(&folder.join("Cargo.toml"), manifest);
}

/// Writes a file only if its content changes, so that cargo does not rebuild.
fn write(file: &Path, text: String) {
    if fs::read_to_string(file).is_ok_and(|there| there == text) {
        return;
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// Builds both programs and returns their folder.
fn build(folder: &Path) -> PathBuf {
    let begun = Instant::now();
    let target = folder.join("target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--package", "programs"]);
    assert!(cargo.arg("--target-dir").arg(&target).current_dir(folder).status().unwrap().success());
    println!("built in {} s", begun.elapsed().as_secs());
    target.join("release")
}
