//! A running server as a process: its signals and its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::folder::Folder;

/// A process that the guard of its folder knows.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a server whose output is appended to a log in its folder.
    pub(crate) fn start(folder: &Folder, command: &mut Command) -> Self {
        let log = folder.path().join("log");
        let file =
            File::options().create(true).append(true).open(&log).expect("the folder is ours");
        let error = file.try_clone().expect("one more descriptor");
        let child = command.stdout(file).stderr(error).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
        folder.guards(Some(child.id()));
        Self { child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Sends a signal. The id is still this process's own, which has not been waited for.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("process ids are small");
        // It fails only if the process has ended.
        let _ = kill(Pid::from_raw(id), signal);
    }

    /// Sends a signal that ends the server, and waits for the end.
    pub(crate) fn end(mut self, folder: &Folder, signal: Signal) {
        self.signal(signal);
        self.child.wait().expect("it is our child");
        folder.guards(None);
    }

    /// Returns the last lines of the log.
    pub(crate) fn last_lines(&self) -> String {
        last_lines(&self.log)
    }
}

fn last_lines(log: &Path) -> String {
    let log = fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
