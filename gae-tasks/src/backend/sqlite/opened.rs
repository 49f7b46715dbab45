//! What was opened: a file that is removed or replaced while it is in use would take along what is committed to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::{Fault, File, Problem};
use super::process::Process;

/// The files of a database as they were when it was opened.
///
/// The database is asked for by path and never opened: a descriptor that is closed drops all locks of the process on the
/// file, SQLite's too.
#[derive(Debug, Clone)]
pub(super) struct Opened(Arc<Files>);

#[derive(Debug)]
struct Files {
    file: File,
    process: Process,
    database: Identity,
    log_path: PathBuf,
    /// Not known until SQLite has made it.
    log: OnceLock<Log>,
}

impl Opened {
    /// Notes what `file` is, which `process` has just opened.
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

    /// Where the log stands.
    pub(super) fn log_path(&self) -> &Path {
        &self.0.log_path
    }

    /// Whether this process itself opened the file, and not the one that it was forked from.
    pub(super) fn is_by_this_process(&self) -> bool {
        self.0.process.is_this()
    }

    /// The problem that a child has which is forked from the process that opened the file.
    ///
    /// # Errors
    /// [`Fault::Forked`] in a child. To be asked before anything that may wait for another thread: a child has none.
    pub(super) fn check_process(&self) -> Result<(), Problem> {
        if self.is_by_this_process() {
            Ok(())
        } else {
            Err(Problem::new(self.file(), Fault::Forked))
        }
    }

    /// Whether the files are still where they were opened.
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

/// The log as it was first seen.
#[derive(Debug)]
struct Log {
    identity: Identity,
    /// SQLite has no locks on the log, so that a descriptor of it may be closed again.
    _opened: fs::File,
    /// The kernel's link to the file's current name.
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

    /// Whether the kernel says that it is at `path` still; if not, its identity decides.
    ///
    /// `stat` would cost a tenth of the throughput: once the time of a change was looked at, Linux writes a finer one with
    /// the next change, and the log is changed all the time.
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

/// The numbers by which a file differs from any other on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = fs::metadata(path)?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }

    /// Elsewhere files have no number that std knows, and one that is open cannot be removed.
    #[cfg(not(unix))]
    fn of(_: &Path) -> io::Result<Self> {
        Ok(Self {})
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
        assert!(log.is_at(&path), "else each commit pays for `stat`");
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
