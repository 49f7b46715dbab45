//! Faults of the file, and what its owner can do about them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::error::Error;

/// The backend's name in errors and logs.
pub(super) const NAME: &str = "sqlite";

/// A fault, with its file. Callers that share a transaction share its failure, so `Problem` is
/// `Clone`.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    file: File,
    fault: Arc<Fault>,
}

/// What went wrong, without the file.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite returned an error.
    Sql(rusqlite::Error),
    /// The operating system returned an error when the file, or a file beside it, was opened.
    Open(io::Error),
    /// The file is not usable; the text says why and what to do.
    Unfit(String),
    /// This version cannot read a stored value.
    Unreadable(String),
    /// The file at `path`, part of the open database, is gone; `how` says what happened to it.
    CutOff { path: PathBuf, how: &'static str },
    /// This process is the child of one that uses SQLite.
    Forked,
    /// A task that was expected to be new is stored already.
    Repeated,
    /// The thread that writes has ended.
    Stopped,
}

impl Problem {
    pub(super) fn new(file: &File, fault: impl Into<Fault>) -> Self {
        Self { file: file.clone(), fault: Arc::new(fault.into()) }
    }

    /// Whether one member of a transaction may be to blame, so that the others are retried
    /// separately.
    ///
    /// With a locked file each of them would only wait as long again, and a commit to a file that
    /// is gone cannot be taken back.
    pub(super) fn may_spare_others(&self) -> bool {
        let spares_nobody =
            [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::NotADatabase];
        !self.is_cut_off() && !self.fault.code().is_some_and(|code| spares_nobody.contains(&code))
    }

    /// Whether another connection holds the file locked.
    pub(super) fn is_of_lock(&self) -> bool {
        self.fault.code() == Some(ErrorCode::DatabaseBusy)
    }

    /// Whether the file is no longer where it was opened.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(*self.fault, Fault::CutOff { .. })
    }

    /// Whether a task that was expected to be new is stored already.
    pub(super) fn is_repetition(&self) -> bool {
        matches!(*self.fault, Fault::Repeated)
    }
}

impl Fault {
    pub(super) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    /// Whether the given data is at fault, and not the file.
    pub(super) fn is_of_data(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        )
    }

    /// Returns why the database refuses the data, without the data.
    pub(super) fn rule(&self) -> String {
        match self {
            Self::Sql(error) => error.to_string(),
            _ => "the data does not fit".to_owned(),
        }
    }

    /// Creates the fault for a stored `what` that cannot be read. The value is left out, because it
    /// might be a payload.
    pub(super) fn unreadable(what: impl Into<String>) -> Self {
        Self::Unreadable(what.into())
    }
}

impl From<rusqlite::Error> for Fault {
    /// Omits the text of a statement that cannot be prepared: users do not know the statement, and
    /// the text of the tables is long.
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                Self::Sql(rusqlite::Error::SqliteFailure(error, Some(msg)))
            }
            error => Self::Sql(error),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match &*self.fault {
            Fault::Sql(error) => sql_problem(f, file, error.sqlite_error_code()),
            Fault::Open(error) => write!(f, "cannot open `{file}`: {}", open_problem(error.kind())),
            Fault::Unfit(problem) => write!(f, "cannot use `{file}`: {problem}"),
            Fault::Unreadable(what) => {
                write!(f, "cannot read {what} in `{file}`: was it written by a newer version?")
            }
            Fault::CutOff { path, how } => cut_off(f, path, how),
            Fault::Forked => write!(
                f,
                "cannot use `{file}` here: this process was forked from one that had a database \
                 open, which SQLite does \
                 not survive; fork first, then open the file in each process for itself"
            ),
            Fault::Repeated => {
                write!(f, "failed on `{file}`: a task of the call is stored already")
            }
            Fault::Stopped => {
                write!(
                    f,
                    "has stopped for `{file}` after an internal error: open it again (stored tasks \
                     are safe)"
                )
            }
        }
    }
}

fn sql_problem(f: &mut fmt::Formatter<'_>, file: &File, code: Option<ErrorCode>) -> fmt::Result {
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            write!(
                f,
                "is kept waiting too long for `{file}`: another connection holds it locked; if the \
                 open transaction is \
                 this code's own, defer in it (`.in_tx(&tx)`), otherwise let it end"
            )
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            write!(
                f,
                "cannot write `{file}`: make the file and its folder writable for this program"
            )
        }
        Some(ErrorCode::DiskFull) => {
            write!(
                f,
                "finds no room for `{file}`: free space on its disk; nothing of this call was \
                 stored"
            )
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            write!(
                f,
                "finds `{file}` damaged: restore it from a backup, or move it away to start with a \
                 new one"
            )
        }
        Some(ErrorCode::NotADatabase) => {
            write!(f, "cannot use `{file}`: it is not a SQLite database; name another file")
        }
        _ => write!(f, "failed on `{file}`"),
    }
}

fn cut_off(f: &mut fmt::Formatter<'_>, path: &Path, how: &str) -> fmt::Result {
    write!(
        f,
        "is cut off from its database: `{}` was {how} while it was open; put the same file back, \
         or restart this program to go on with what is there (what this call was to change may be \
         in the file that is gone)",
        path.display()
    )
}

fn open_problem(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "its folder does not exist; create it first",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "this program may not write it; make the file and its folder writable"
        }
        io::ErrorKind::IsADirectory => "it is a folder; name a file in it",
        io::ErrorKind::NotADirectory => "a part of its path is a file, not a folder",
        _ => "the operating system refuses it",
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let text = problem.to_string();
        Self::Storage { backend: NAME, problem: text, source: Box::new(Cause(problem.fault)) }
    }
}

/// The fault itself, as the source below the text that says what to do.
#[derive(Debug)]
struct Cause(Arc<Fault>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Fault::Sql(error) => error.fmt(f),
            Fault::Open(error) => error.fmt(f),
            Fault::CutOff { .. } => f.write_str("the file is no longer where it was opened"),
            Fault::Forked => f.write_str("another process opened it"),
            Fault::Unfit(_) | Fault::Unreadable(_) | Fault::Repeated => {
                f.write_str("the file does not fit")
            }
            Fault::Stopped => f.write_str("the storage's thread has ended"),
        }
    }
}

impl std::error::Error for Cause {}

/// The name of a database file, cheap to keep beside anything that may fail.
#[derive(Debug, Clone)]
pub(super) struct File(Arc<Path>);

impl File {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_into_a_file_that_is_gone_is_not_done_again_for_each_caller() {
        let file = File::new(Path::new("tasks.db"));
        let cut_off = Fault::CutOff { path: "tasks.db".into(), how: "removed or moved away" };
        assert!(!Problem::new(&file, cut_off).may_spare_others());
        assert!(Problem::new(&file, Fault::Repeated).may_spare_others());
    }

    #[test]
    fn only_a_repetition_is_done_again_row_by_row() {
        let file = File::new(Path::new("tasks.db"));
        assert!(Problem::new(&file, Fault::Repeated).is_repetition());
        assert!(!Problem::new(&file, Fault::Stopped).is_repetition());
    }

    /// Not tested with a real folder: a test that runs as root may write everywhere.
    #[test]
    fn a_file_that_may_not_be_written_is_told_so() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            assert!(open_problem(kind).contains("may not write"), "{kind:?}");
        }
    }
}
