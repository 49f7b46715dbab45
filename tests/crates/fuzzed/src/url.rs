//! Fuzzes `Client::open`: a text opens the storage that it names or is refused, and creates no
//! other file.

use std::env::{current_dir, set_current_dir};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gae_tasks::{Client, Error};
use pollster::block_on;
use tempfile::TempDir;

/// Allows one check at a time: the current folder, to which names are relative, belongs to the
/// whole process.
static TURN: Mutex<()> = Mutex::new(());

pub(super) fn check(bytes: &[u8]) {
    let Ok(url) = str::from_utf8(bytes) else { return };
    keeps_the_password(url);
    let file = url.strip_prefix("sqlite:").map(named);
    if file.as_deref().is_some_and(may_leave_the_folder) {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    opens_or_is_refused(url, file.as_deref(), &Inside::new().folder);
}

/// Returns the file name after `sqlite:`, without parameters and escapes.
fn named(rest: &str) -> String {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let mut parts = rest.split('?').next().unwrap_or_default().split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())) {
            Some(digits) => {
                bytes.extend(u8::from_str_radix(digits, 16));
                bytes.extend(part[2..].bytes());
            }
            None => bytes.extend([b"%", part.as_bytes()].concat()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A new current folder of the process, until drop.
struct Inside {
    folder: TempDir,
    before: PathBuf,
}

impl Inside {
    fn new() -> Self {
        let before = current_dir().expect("a current folder");
        let folder = tempfile::tempdir().expect("a folder");
        set_current_dir(&folder).expect("its own folder");
        Self { folder, before }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // If the old folder is gone, the next check fails because there is no current folder.
        _ = set_current_dir(&self.before);
    }
}

/// Whether a name could mean a file in another folder under any reading; the fuzzer must not create
/// one.
fn may_leave_the_folder(file: &str) -> bool {
    let is_elsewhere = file.starts_with('/') || file.contains("..");
    is_elsewhere || (file.starts_with("file:") && file.contains(['/', '%']))
}

fn opens_or_is_refused(url: &str, file: Option<&str>, folder: &TempDir) {
    let opened = block_on(Client::open(url));
    let names = names_in(folder);
    match (&opened, file) {
        (Ok(client), None) if url.starts_with("cloudtasks:") => {
            assert_eq!(client.capabilities().backend, "cloudtasks")
        }
        (Ok(client), None) => {
            assert_eq!((client.capabilities().backend, url), ("memory", "memory:"))
        }
        (Ok(client), Some(":memory:")) => assert_eq!(client.capabilities().backend, "memory"),
        (Ok(client), Some(file)) => {
            assert_eq!(client.capabilities().backend, "sqlite");
            assert!(Path::new(file).is_file(), "{url:?} made {names:?}");
        }
        (Err(Error::Url { .. }), _) => {
            assert!(names.is_empty(), "{url:?} was refused and made {names:?}")
        }
        (Err(error), _) => assert!(matches!(error, Error::Storage { .. }), "{url:?}: {error:?}"),
    }
    // SQLite creates further files whose names begin with the file's name.
    let own = file.and_then(|file| Path::new(file).file_name()).unwrap_or_default();
    let is_own = |name: &OsString| name.as_encoded_bytes().starts_with(own.as_encoded_bytes());
    assert!(own != OsStr::new("") || names.is_empty(), "{url:?} made {names:?}");
    assert!(names.iter().all(is_own), "{url:?} made {names:?}");
}

fn names_in(folder: &TempDir) -> Vec<OsString> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    entries.map(|entry| entry.expect("its entry").file_name()).collect()
}

/// Puts the text into a password, with a mark by which it is found in an error.
fn keeps_the_password(text: &str) {
    let url = format!("postgres://ann:SECRET{text}SECRET@db/shop");
    match block_on(Client::open(&url)) {
        Err(error) => assert!(!format!("{error} {error:?}").contains("SECRET"), "{error}"),
        Ok(_) => panic!("{url:?} was opened"),
    }
}
