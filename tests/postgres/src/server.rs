//! One PostgreSQL server: its data, its start and its ends.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::folder::Folder;
use crate::process::Process;
use crate::{port, programs};

/// The name of the superuser, whatever the user's name is at the system.
pub(crate) const SUPERUSER: &str = "postgres";

/// Machines that run many other things take their time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A server with a folder of its own.
#[derive(Debug)]
pub(crate) struct Server {
    // Ended by `drop` before the folder is.
    process: Mutex<Option<Process>>,
    port: u16,
    folder: Folder,
    programs: PathBuf,
}

impl Server {
    /// Creates a cluster and starts it. `settings` are lines of `postgresql.conf`.
    pub(crate) fn create(settings: &[(&str, &str)]) -> Self {
        Self::with_data(|folder, programs| {
            let mut copy = folder.command(Path::new("cp"));
            run(copy.arg("-Rp").arg(data(pristine(programs))).arg(data(folder)));
            configure(folder, settings);
        })
    }

    /// Starts a server whose data another program puts into `data`.
    pub(crate) fn with_data(fill: impl FnOnce(&Folder, &Path)) -> Self {
        let (folder, programs) = (Folder::create(), programs::server());
        fill(&folder, &programs);
        let mut server = Self { process: Mutex::new(None), port: 0, folder, programs };
        server.start_on_a_free_port();
        server
    }

    /// Another program may take a port between its choice and the start.
    fn start_on_a_free_port(&mut self) {
        for _ in 0..5 {
            self.port = port::free();
            match self.try_start() {
                Ok(()) => return,
                Err(log) if log.contains("could not bind") => {}
                Err(log) => panic!("PostgreSQL does not start:\n{log}"),
            }
        }
        panic!("PostgreSQL found no free port");
    }

    /// Starts the server if it is stopped, and waits until it takes connections.
    pub(crate) fn start(&self) {
        self.try_start().unwrap_or_else(|log| panic!("PostgreSQL does not start:\n{log}"));
    }

    fn try_start(&self) -> Result<(), String> {
        let mut running = self.process.lock().expect("no panic while it starts");
        if running.is_some() {
            return Ok(());
        }
        let mut postgres = self.folder.command(&self.programs.join("postgres"));
        postgres.arg("-D").arg(data(&self.folder));
        postgres.args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-k"]);
        let mut process = Process::start(&self.folder, postgres.arg(self.folder.path()));
        self.wait_until_ready(&mut process)?;
        *running = Some(process);
        Ok(())
    }

    fn wait_until_ready(&self, process: &mut Process) -> Result<(), String> {
        let (began, id) = (Instant::now(), process.id().to_string());
        // The eighth line tells the state; the first, that the file is not a former server's.
        let is_ready = |status: String| {
            status.lines().next() == Some(&id)
                && status.lines().nth(7).is_some_and(|state| state.starts_with("ready"))
        };
        let status = data(&self.folder).join("postmaster.pid");
        while !fs::read_to_string(&status).is_ok_and(is_ready) {
            if process.has_ended() {
                return Err(process.last_lines());
            }
            if began.elapsed() > PATIENCE {
                process.signal(Signal::SIGQUIT);
                return Err(format!("not ready in {PATIENCE:?}\n{}", process.last_lines()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops the server if it runs. `SIGINT` is an orderly stop that ends connections, `SIGQUIT`
    /// one without a checkpoint, after which the next start recovers.
    pub(crate) fn stop(&self, signal: Signal) {
        let running = self.process.lock().expect("no panic while it starts").take();
        if let Some(process) = running {
            process.end(&self.folder, signal);
        }
    }

    /// Returns the folder of the socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(running) = self.process.get_mut()
            && let Some(process) = running.take()
        {
            process.end(&self.folder, Signal::SIGQUIT);
        }
    }
}

/// Returns the folder of a cluster that was never started, of which each server has a copy:
/// `initdb` takes many times as long as that.
fn pristine(programs: &Path) -> &'static Folder {
    static PRISTINE: OnceLock<Folder> = OnceLock::new();
    PRISTINE.get_or_init(|| {
        let folder = Folder::create();
        let mut initdb = folder.command(&programs.join("initdb"));
        initdb.args(["--no-sync", "--no-instructions", "--no-locale", "--encoding=UTF8"]);
        initdb.args(["--auth=trust", "--username", SUPERUSER]);
        run(initdb.arg("-D").arg(data(&folder)));
        folder
    })
}

/// Returns the folder of the data.
pub(crate) fn data(folder: &Folder) -> PathBuf {
    folder.path().join("data")
}

/// Adds the settings; those that come last count.
fn configure(folder: &Folder, settings: &[(&str, &str)]) {
    let mut lines = "\nmax_connections = 200\nlog_line_prefix = '%m [%p] %a '\n".to_owned();
    for (name, value) in settings {
        writeln!(lines, "{name} = '{}'", value.replace('\'', "''")).expect("a string grows");
    }
    let file = fs::File::options().append(true).open(data(folder).join("postgresql.conf"));
    file.and_then(|mut file| file.write_all(lines.as_bytes())).expect("initdb wrote the file");
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed, {}:\n{error}", output.status);
}

/// Runs what blocks on a thread of its own, where it holds up no other test of the runtime.
pub(crate) async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}
