//! The identity of the opened files: commits to a file that was removed or replaced while in use
//! would be lost with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::{Fault, File, Problem};
use super::process::Process;
use crate::backend::home::{Home, Place, SqliteFile};

/// The identities of a database's files at the time when they were opened.
///
/// The database is examined by path and never opened: closing a descriptor drops all locks of the
/// process on the file, including SQLite's.
#[derive(Debug, Clone)]
pub(super) struct Opened(Arc<Files>);

#[derive(Debug)]
struct Files {
    file: File,
    process: Process,
    database: Identity,
    log_path: PathBuf,
    /// Not known until SQLite has created the log.
    log: OnceLock<Log>,
}

impl Opened {
    /// Records the identity of `file`, which `process` has just opened.
    pub(super) fn new(file: &File, process: Process) -> io::Result<Self> {
        let mut log_path = file.path().as_os_str().to_owned();
        log_path.push("-wal");
        let (database, log_path, log) =
            (Identity::of(file.path())?, log_path.into(), OnceLock::new());
        Ok(Self(Arc::new(Files { file: file.clone(), process, database, log_path, log })))
    }

    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    /// Returns where the tasks are, for transactions of the application.
    pub(super) fn home(&self) -> Home {
        let (path, identity) = (self.file().path().into(), self.0.database.numbers());
        Home(Place::File(SqliteFile { path, identity }))
    }

    /// Returns the path of the log.
    pub(super) fn log_path(&self) -> &Path {
        &self.0.log_path
    }

    /// Whether this process itself opened the file, and is not a fork of the process that did.
    pub(super) fn is_by_this_process(&self) -> bool {
        self.0.process.is_this()
    }

    /// Checks that this process is not a fork of the process that opened the file.
    ///
    /// # Errors
    /// [`Fault::Forked`] in a child. Call this before anything that may wait for another thread: a
    /// child has no other threads.
    pub(super) fn check_process(&self) -> Result<(), Problem> {
        if self.is_by_this_process() {
            Ok(())
        } else {
            Err(Problem::new(self.file(), Fault::Forked))
        }
    }

    /// Checks that the files are still where they were opened.
    ///
    /// # Errors
    /// [`Fault::CutOff`] if one of them is not.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let Files { file, database, log_path, log, .. } = &*self.0;
        compare(file.path(), *database)?;
        match log.get() {
            Some(log) if log.is_at(log_path) => {}
            Some(log) => compare(log_path, log.identity)?,
            None => _ = Log::open(log_path).map(|found| log.set(found)),
        }
        Ok(())
    }
}

/// The log when it was first seen.
#[derive(Debug)]
struct Log {
    identity: Identity,
    /// SQLite has no locks on the log, so closing a descriptor of it drops none.
    _opened: fs::File,
    /// The kernel's link to the current name of the log.
    link: Option<PathBuf>,
}

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        let opened = fs::File::open(path)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let link =
            Some(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&opened)).into());
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let link = None;
        Ok(Self { identity: Identity::of(path)?, _opened: opened, link })
    }

    /// Whether the kernel still reports the log at `path`; if not, the identity of the file
    /// decides.
    ///
    /// `stat` would cost a tenth of the throughput: after each reading of a file's change time,
    /// Linux writes a finer one with the next change, and the log changes all the time.
    fn is_at(&self, path: &Path) -> bool {
        self.link.as_ref().is_some_and(|link| fs::read_link(link).is_ok_and(|found| found == path))
    }
}

fn compare(path: &Path, known: Identity) -> Result<(), Fault> {
    let how = match Identity::of(path) {
        Ok(found) if found == known => return Ok(()),
        Ok(_) => "replaced by another file",
        Err(_) => "removed or moved away",
    };
    Err(Fault::CutOff { path: path.to_owned(), how })
}

/// The numbers that identify a file on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Identity {
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = fs::metadata(path)?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }

    /// Elsewhere std provides no file number, and an open file cannot be removed.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Path) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Returns device and inode.
    #[cfg(unix)]
    pub(super) const fn numbers(self) -> [u64; 2] {
        [self.device, self.inode]
    }

    /// Returns zeros.
    #[cfg(not(unix))]
    pub(super) const fn numbers(self) -> [u64; 2] {
        [0; 2]
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_where_the_log_is() {
        let folder = std::env::temp_dir().join(format!("gae-tasks-opened-{}", std::process::id()));
        let (place, away) = (folder.join("place"), folder.join("away"));
        fs::create_dir_all(&place).unwrap();
        let path = fs::canonicalize(&place).unwrap().join("tasks.db-wal");
        fs::write(&path, "").unwrap();
        let log = Log::open(&path).unwrap();
        assert!(log.is_at(&path), "otherwise each commit pays for `stat`");
        fs::rename(&place, &away).unwrap();
        assert!(!log.is_at(&path), "moved");
        fs::rename(&away, &place).unwrap();
        assert!(log.is_at(&path), "back");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another").unwrap();
        assert!(!log.is_at(&path), "replaced");
        fs::remove_dir_all(folder).unwrap();
    }
}
