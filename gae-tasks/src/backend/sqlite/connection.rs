//! Opening connections: the pragmas are set, read back, and checked.

use std::borrow::Cow;
use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Fault, File, Problem};
use super::opened::Opened;
use super::process::Process;
use super::release;
use super::turn::Turn;

/// How long a connection waits for another program's transaction.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The first waits for a lock, in microseconds. They are short, because most transactions of other
/// processes last less than a millisecond.
const WAITS: [u64; 4] = [100, 200, 400, 800];

/// All further waits, in microseconds: shorter than the time for which others step aside.
const LATER: u64 = 1_000;

/// The pragmas of every connection, besides log, durability and cache.
pub(super) const PRAGMAS: [(&str, i64); 4] = [
    ("temp_store", 2),
    ("trusted_schema", 0),
    // The log file is cut to this many bytes after a peak.
    ("journal_size_limit", 64 * 1024 * 1024),
    // The log grows to this many pages before it is copied into the file: a page that changes often
    // is copied once.
    ("wal_autocheckpoint", 2_000),
];

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

/// Whether a commit survives a loss of power. Both levels survive a killed process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Durability {
    /// For leases and settlements: if they are lost, tasks run again.
    Normal,
    /// For commits that must not be lost: the log is synced before the commit is answered.
    Full,
}

impl Durability {
    /// Returns the value of `PRAGMA synchronous`.
    pub(super) const fn level(self) -> i64 {
        match self {
            Self::Normal => 1,
            Self::Full => 2,
        }
    }
}

/// Opens the file, creating it if missing, and returns the identity of the opened file with the
/// connection.
pub(super) fn create(path: &Path) -> Result<(Opened, Connection), Problem> {
    create_with(rusqlite::version_number(), path)
}

/// Like [`create`], with the version number of the SQLite library.
fn create_with(sqlite: i32, path: &Path) -> Result<(Opened, Connection), Problem> {
    let named = File::new(path);
    let refused = |fault| Problem::new(&named, fault);
    release::check(sqlite).map_err(refused)?;
    let process = Process::enter().map_err(refused)?;
    // The file is examined by path, never opened: closing a file outside SQLite drops all locks of
    // this process on it, including the locks of other connections.
    find_obstacle(path).map_err(|error| refused(Fault::Open(error)))?;
    let mut connection = connect(&literal(path), OpenFlags::SQLITE_OPEN_CREATE).map_err(refused)?;
    let file = File::new(&fs::canonicalize(path).map_err(|error| refused(Fault::Open(error)))?);
    let opened =
        Opened::new(&file, process).map_err(|error| Problem::new(&file, Fault::Open(error)))?;
    set_up(&mut connection, Access::Write).map_err(|fault| Problem::new(&file, fault))?;
    Ok((opened, connection))
}

/// Returns the path in a form that SQLite takes literally: a path that begins with `file:` would be
/// a URI of another file.
fn literal(path: &Path) -> Cow<'_, Path> {
    if path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
        return Path::new(".").join(path).into();
    }
    path.into()
}

/// Asks the operating system about a path, because SQLite reports only that it cannot open the
/// file.
fn find_obstacle(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => fs::metadata(folder).map(|_| ()),
            _ => Ok(()),
        },
        found => found.map(|_| ()),
    }
}

/// Opens one more connection to a file.
pub(super) fn open(file: &File, access: Access) -> Result<Connection, Problem> {
    let open = || {
        let mut connection = connect(file.path(), OpenFlags::empty())?;
        set_up(&mut connection, access)?;
        Ok(connection)
    };
    open().map_err(|fault: Fault| Problem::new(file, fault))
}

fn connect(path: &Path, more: OpenFlags) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    // SQLite silently opens a file read-only if writing is not permitted.
    if connection.is_readonly(rusqlite::MAIN_DB)? {
        return Err(Fault::Open(io::ErrorKind::PermissionDenied.into()));
    }
    Ok(connection)
}

fn set_up(connection: &mut Connection, access: Access) -> Result<(), Fault> {
    be_patient(connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Plans must not depend on bound values: SQLite would plan each lease anew, which took 7 % of
    // all time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    use_log(connection)?;
    set(connection, "synchronous", Durability::Full.level())?;
    for (pragma, value) in PRAGMAS {
        set(connection, pragma, value)?;
    }
    match access {
        Access::Write => set(connection, "cache_size", -8_000),
        Access::Read => {
            set(connection, "cache_size", -2_000)?;
            set(connection, "query_only", 1)
        }
    }
}

/// Sets a pragma and reads it back: SQLite reports no error for an unknown name or value.
pub(super) fn set(connection: &Connection, pragma: &str, value: i64) -> Result<(), Fault> {
    connection.pragma_update(None, pragma, value)?;
    let found: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
    if found == value {
        return Ok(());
    }
    Err(Fault::Unfit(format!("SQLite refuses `PRAGMA {pragma} = {value}` and keeps {found}")))
}

/// Begins a transaction that writes; waits for its turn if another process is writing, at most
/// until `until`.
pub(super) fn begin(
    connection: &mut Connection,
    turn: &mut Turn,
    until: Instant,
) -> Result<(), Fault> {
    turn.step_aside();
    match try_begin(connection)? {
        Err(error) if is_busy(&error) => {
            let _claim = turn.claim();
            UNTIL.set(Some(until));
            let begun = begin_immediate(connection);
            UNTIL.set(None);
            Ok(begun?)
        }
        begun => Ok(begun?),
    }
}

thread_local! {
    /// When the wait of this thread ends, if not after [`PATIENCE`]: a busy handler of rusqlite
    /// before 0.43 is a plain function.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Like [`begin`], but without waiting. Returns whether the transaction has begun: not if another
/// process writes, or has waited for its turn.
pub(super) fn begin_at_once(connection: &mut Connection, turn: &mut Turn) -> Result<bool, Fault> {
    if turn.is_owed() {
        return Ok(false);
    }
    match try_begin(connection)? {
        Err(error) if is_busy(&error) => Ok(false),
        begun => Ok(begun.map(|()| true)?),
    }
}

/// Tries to begin a transaction, without waiting for a lock.
fn try_begin(connection: &mut Connection) -> Result<rusqlite::Result<()>, Fault> {
    wait_for_nobody(connection)?;
    let begun = begin_immediate(connection);
    be_patient(connection)?;
    Ok(begun)
}

fn begin_immediate(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(|_| ())
}

/// Makes the connection wait for locks. `wait` is passed as a function pointer, and the connection
/// as `&mut`, because rusqlite before 0.43 needs the former and later versions the latter.
fn be_patient(connection: &mut Connection) -> rusqlite::Result<()> {
    let wait: fn(i32) -> bool = wait;
    connection.busy_handler(Some(wait))
}

/// Makes the connection return errors where it would wait for a lock.
pub(super) fn wait_for_nobody(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(None::<fn(i32) -> bool>)
}

/// Switches the file to a write-ahead log. The first switch needs a moment without other users.
fn use_log(connection: &Connection) -> Result<(), Fault> {
    let mut tries = 0;
    let mode: String = loop {
        // SQLite does not always call the busy handler here: two simultaneous first openers would
        // wait for each other.
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error) if is_busy(&error) && wait(tries) => tries += 1,
            answer => break answer?,
        }
    };
    if mode == "wal" {
        return Ok(());
    }
    Err(Fault::Unfit(format!(
        "it stays in journal mode `{mode}`, but a write-ahead log is needed: use a local disk"
    )))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// Waits before try number `tries` of a lock; returns `false` when the time is up.
fn wait(tries: i32) -> bool {
    let tries = usize::try_from(tries).unwrap_or(usize::MAX);
    let pause = Duration::from_micros(WAITS.get(tries).copied().unwrap_or(LATER));
    let waited =
        Duration::from_micros(LATER).saturating_mul(u32::try_from(tries).unwrap_or(u32::MAX));
    if UNTIL.get().map_or(waited >= PATIENCE, |until| Instant::now() >= until) {
        return false;
    }
    thread::sleep(pause);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_folder_is_in_the_folder_of_the_process() {
        assert!(find_obstacle(Path::new("there-is-no-such-file.db")).is_ok());
        assert!(find_obstacle(Path::new("there-is-no-such-folder/tasks.db")).is_err());
    }

    #[test]
    fn a_library_with_the_bug_opens_no_file_and_makes_none() {
        let path =
            std::env::temp_dir().join(format!("gae-tasks-old-sqlite-{}.db", std::process::id()));
        let refused = create_with(3_051_002, &path).map(drop).unwrap_err().to_string();
        assert!(
            refused.contains("SQLite 3.51.2") && refused.contains("WAL-reset bug"),
            "{refused}"
        );
        assert!(!path.exists());
    }

    #[test]
    fn a_name_that_looks_like_a_uri_is_a_name() {
        assert_eq!(literal(Path::new("file:tasks.db")), Path::new("./file:tasks.db"));
        assert_eq!(literal(Path::new("tasks/file:a.db")), Path::new("tasks/file:a.db"));
    }
}
