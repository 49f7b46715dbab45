//! Reads and writes the file on the disk.

use std::fs::{self, File as OpenFile, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Holds off the writes of other test programs until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _held: Option<OpenFile>,
}

impl Turn {
    /// Waits for the turn to write into the package in `folder`.
    ///
    /// The manifest is locked, because a file of its own would stay behind. Where there is none,
    /// nothing else writes either.
    pub(super) fn take(folder: &Path) -> io::Result<Self> {
        let Ok(manifest) = OpenFile::open(folder.join("Cargo.toml")) else {
            return Ok(Self { _held: None });
        };
        manifest.lock()?;
        Ok(Self { _held: Some(manifest) })
    }
}

/// Whether the package in `folder` has a library, which its integration tests link.
pub(super) fn has_library(folder: &Path) -> bool {
    let is_declared = fs::read_to_string(folder.join("Cargo.toml"))
        .map_or(true, |manifest| manifest.lines().any(|line| line.trim() == "[lib]"));
    is_declared || folder.join("src/lib.rs").exists()
}

/// The text of the file, if there is one.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the file as a whole: who reads it meanwhile sees one text or the other.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        _ = fs::remove_file(&beside);
    }
    written
}

/// A name of this process in the same folder, so that a rename stays in the file system.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    name.into()
}
