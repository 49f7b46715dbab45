//! Which program a client is part of, and which revision of it: schedules belong to programs.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::error::Error;
use crate::time::Timestamp;

/// Builds that are made reproducibly set the times of their files to a fixed one, which says
/// nothing. No program of this crate is older than the year 2000.
const FIRST: Timestamp = Timestamp::from_micros(946_684_800_000_000);

/// The program of a client, as its builder states it.
#[derive(Debug, Clone, Default)]
pub(super) struct StatedProgram {
    pub(super) name: Option<String>,
    pub(super) revision: Option<u64>,
}

/// The program of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) revision: i64,
}

impl StatedProgram {
    /// Checks that the name is valid, if one is stated.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.name.as_ref().filter(|name| !is_name(name)) {
            Some(name) => Err(Error::Program { value: name.clone() }),
            None => Ok(()),
        }
    }

    /// The program, whose executable says what the builder does not.
    pub(super) fn resolve(self) -> Program {
        let own = Program::of_this_process();
        let stated = |revision| i64::try_from(revision).unwrap_or(i64::MAX);
        Program {
            name: self.name.unwrap_or_else(|| own.name.clone()),
            revision: self.revision.map_or(own.revision, stated),
        }
    }
}

impl Program {
    /// The program that its executable tells of. Looked up once, so that a deploy which replaces
    /// the file of a running process does not make another revision of it.
    fn of_this_process() -> &'static Self {
        static OWN: OnceLock<Program> = OnceLock::new();
        OWN.get_or_init(|| {
            let executable = std::env::current_exe().unwrap_or_default();
            let changed = fs::metadata(running(&executable)).and_then(|file| file.modified());
            let name = name_of(&executable).unwrap_or_else(|| "program".to_owned());
            Self { name, revision: changed.map_or(0, revision_of) }
        })
    }
}

/// The file that this process runs, whatever is at its path now.
fn running(executable: &Path) -> PathBuf {
    if cfg!(target_os = "linux") { PathBuf::from("/proc/self/exe") } else { executable.to_owned() }
}

/// The revision of an executable that was written then, in microseconds since 1970.
fn revision_of(changed: SystemTime) -> i64 {
    let changed = Timestamp::from(changed);
    if changed < FIRST { 0 } else { changed.as_micros() }
}

/// The name of the crate that an executable was built from: that of the file, without the hash that
/// Cargo gives those of tests, and without a version: each release would be a program of its own,
/// and tick the schedules of all before it once more.
fn name_of(executable: &Path) -> Option<String> {
    let name = executable.file_name().and_then(OsStr::to_str)?;
    // So Linux names a file that was replaced.
    let name = name.trim_end_matches(" (deleted)").trim_end_matches(".exe");
    let is_hash = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let parts = name.rsplit_once('-').filter(|parts| is_hash(parts.1) || is_version(parts.1));
    let name = parts.map_or(name, |(name, _)| name);
    is_name(name).then(|| name.to_owned())
}

/// Whether a text is a version, such as `1.4.0` or `v2.0`.
fn is_version(text: &str) -> bool {
    let numbers = text.strip_prefix('v').unwrap_or(text);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.contains('.') && numbers.split('.').all(is_number)
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=200).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_is_named_after_its_executable() {
        for (path, expected) in [
            ("/app/shop-worker", Some("shop-worker")),
            ("/app/target/debug/deps/it-0123456789abcdef", Some("it")),
            ("/app/shop-0123456789abcde", Some("shop-0123456789abcde")),
            ("/app/shop (deleted)", Some("shop")),
            ("/app/shop.exe", Some("shop")),
            ("/app/shop.web", Some("shop.web")),
            ("/app/shop-worker-1.4.0", Some("shop-worker")),
            ("/app/shop-v2.0.exe", Some("shop")),
            ("/app/shop-2", Some("shop-2")),
            ("/app/shop-1.", Some("shop-1.")),
            ("/app/my shop", None),
            ("", None),
        ] {
            assert_eq!(name_of(Path::new(path)).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_revision_is_the_time_of_a_build_unless_that_says_nothing() {
        let after = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(revision_of(after(1)), 0, "as in a reproducible image");
        assert_eq!(revision_of(after(1_767_225_600)), 1_767_225_600_000_000);
    }

    #[test]
    fn what_a_builder_states_replaces_what_the_executable_says() {
        let own = StatedProgram::default().resolve();
        assert!(own.revision > 0 && is_name(&own.name), "{own:?}");
        let stated = |name: &str, revision| StatedProgram { name: Some(name.to_owned()), revision };
        let shop = Program { name: "shop".to_owned(), revision: 7 };
        assert_eq!(stated("shop", Some(7)).resolve(), shop);
        assert_eq!(stated("shop", None).resolve().revision, own.revision);
        assert_eq!(stated("shop", Some(u64::MAX)).resolve().revision, i64::MAX);
        assert!(stated("shop-2.b_c", None).check().is_ok());
        for bad in ["", "a b", &"x".repeat(201)] {
            assert!(matches!(stated(bad, None).check(), Err(Error::Program { .. })), "{bad}");
        }
    }
}
