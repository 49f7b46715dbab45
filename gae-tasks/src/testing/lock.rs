//! Asserts that the tasks of a program are those that its `tasks.lock` lists.

mod advice;
mod change;
mod compare;
mod diff;
mod format;
mod judge;
mod layout;
mod leaf;
mod made_up;
mod members;
mod merge;
mod parse;
mod program;
mod report;
mod shown;
mod similar;
mod store;
#[cfg(test)]
mod tests;
mod walk;
mod way;

use std::path::Path;

use self::format::File;
pub use self::program::Caller;
use self::program::Program;
use self::report::Report;
use crate::registration::REGISTRATIONS;

/// Asserts that the tasks of this package are those that the committed file `tasks.lock`, beside
/// its `Cargo.toml`, lists.
///
/// A task outlives the program that deferred it. Its payload is read by the names and types of the
/// function's parameters, so an edit of these can strand tasks that wait, or change what they do.
/// The assert finds that before the deploy, and says what to do:
///
/// | the change | means for tasks that wait | what to do |
/// |---|---|---|
/// | is *compatible* | they are read by name | run the test with `GAE_TASKS_LOCK=write` |
/// | *needs an attribute* | they cannot be read yet | paste `#[default]`, `#[alias("old")]`, `ignores = ["note"]`, `alias = ["old/kind"]`, `#[serde(default)]`: the message has it |
/// | *changes the meaning* | names of one type were exchanged or replaced | confirm, or give the old names as aliases: the message says how |
/// | *strands* | they cannot run | keep the old function or variant, convert with `upgrade = ..`, or let the queue run empty first |
///
/// One test is enough, in the library or in `tests/`:
///
/// ```no_run
/// use gae_tasks::deferred;
///
/// #[deferred(queue = "emails")]
/// async fn send_welcome(user_id: u64) {}
///
/// #[test]
/// fn waiting_tasks_can_run() {
///     gae_tasks::testing::assert_lock!();
/// }
/// # gae_tasks::testing::assert_lock!();
/// ```
///
/// # The file
///
/// `GAE_TASKS_LOCK=write cargo test` creates it and brings it up to date. Without the variable
/// nothing is written, so an assert in CI fails until the file is committed.
///
/// ```text
/// task shop.emails/send_welcome
///   queue emails
///   schema 012f6c9d8d4ad4f3
///     user_id: u64
///   accepts 01f3b3a0de9b3aa1
///     user_id: u32
/// ```
///
/// `schema` is what is deferred now, with its shape. `accepts` is what was, and may still wait:
/// every assert checks that the function reads it. Delete it when no such task waits any more; a
/// write never does.
///
/// A task that the program does not have any more is marked `retired` by a write, and stays listed
/// until it is deleted. Builds with other features, or for other platforms, may have it: if one of
/// them writes the file, the mark becomes `optional`. The assert takes a marked task as it finds
/// it. Several programs of one package share the file. Each looks after the tasks of its own
/// crates.
///
/// A write does not take changes that need an attribute or strand tasks. If that is meant, and no
/// task waits, delete the old lines by hand.
///
/// # Which tasks
///
/// Those of the package in which the assert stands, without those of tests:
///
/// - In `tests/`, what the test itself declares is left out. Such a test must mention the library,
///   `use shop as _;`, or the linker leaves its tasks out.
/// - In a unit test, where the whole crate is built as a test, what is inside of a module `test` or
///   `tests` is left out. So it is in `tests/` of a package without a library: such a test can only
///   include the program's modules, as in `#[path = "../src/mail.rs"] mod mail;`, and its own name
///   is the crate of their kinds.
///
/// `assert_lock!(all)` takes the tasks of all crates that are linked into the test.
/// `assert_lock!(path = "../tasks.lock")` and `assert_lock!(all, path = "..")` name the file, from
/// the folder of `Cargo.toml` on.
///
/// # What it does not see
///
/// The same structure with another meaning: seconds that become milliseconds in a `u64`, a default
/// that changes. A new meaning wants a new name.
///
/// Whether a new field has a `#[serde(default)]` is no part of a schema. The assert finds out: it
/// makes up payloads of the older schema, and has the types read them, and upgrades convert what
/// they read. If a type refuses all values that are made up, the new field is confirmed once.
#[macro_export]
macro_rules! assert_lock {
    () => {
        $crate::assert_lock!(path = "tasks.lock")
    };
    (all) => {
        $crate::assert_lock!(all, path = "tasks.lock")
    };
    (path = $path:expr $(,)?) => {
        $crate::__lock!(::std::option::Option::Some(::std::env!("CARGO_PKG_NAME")), $path)
    };
    (all, path = $path:expr $(,)?) => {
        $crate::__lock!(::std::option::Option::None, $path)
    };
}

/// Calls [`assert_locked`] with what only the caller's crate knows.
#[doc(hidden)]
#[macro_export]
macro_rules! __lock {
    ($package:expr, $path:expr) => {
        $crate::testing::assert_locked(
            &$crate::testing::Caller {
                folder: ::std::env!("CARGO_MANIFEST_DIR"),
                package: $package,
                module: ::std::module_path!(),
                // Cargo sets it for integration tests and benchmarks only.
                is_outside: ::std::option_env!("CARGO_TARGET_TMPDIR").is_some()
                    && $crate::testing::has_library(::std::env!("CARGO_MANIFEST_DIR")),
            },
            ::std::convert::AsRef::<::std::path::Path>::as_ref($path),
        )
    };
}

/// The variable that lets an assert write the file.
const VARIABLE: &str = "GAE_TASKS_LOCK";

/// Compares the tasks that `caller` takes with the file at `path`, and writes it if the variable
/// says so.
///
/// # Panics
/// The two differ, or the file cannot be read or written.
#[track_caller]
pub fn assert_locked(caller: &Caller, path: &Path) {
    let writes = match std::env::var(VARIABLE).unwrap_or_default().as_str() {
        "" => false,
        "write" => true,
        other => panic!("{VARIABLE}={other} is unknown: only {VARIABLE}=write is known"),
    };
    let path = Path::new(caller.folder).join(path);
    match check(caller, &path, writes) {
        Ok(said) if said.is_empty() => {}
        Ok(said) => eprintln!("{said}"),
        Err(said) => panic!("{said}"),
    }
}

/// Whether the package in `folder` has a library.
pub fn has_library(folder: &str) -> bool {
    store::has_library(Path::new(folder))
}

/// What a write has changed, if anything.
///
/// # Errors
/// Why the assert fails.
fn check(caller: &Caller, path: &Path, writes: bool) -> Result<String, String> {
    let io = |error| format!("{}: {error}", path.display());
    let _turn =
        if writes { Some(store::Turn::take(Path::new(caller.folder)).map_err(io)?) } else { None };
    let program = Program::of(caller, REGISTRATIONS.iter());
    let text = store::read(path).map_err(io)?;
    let outcome = compare_with(text.as_deref(), &program, path, writes)?;
    if let Some(text) = outcome.text {
        store::write(path, &text).map_err(io)?;
    }
    if outcome.passes { Ok(outcome.said) } else { Err(outcome.said) }
}

/// What an assert has found.
struct Outcome {
    passes: bool,
    said: String,
    /// What is to be written.
    text: Option<String>,
}

fn compare_with(
    text: Option<&str>,
    program: &Program<'_>,
    path: &Path,
    writes: bool,
) -> Result<Outcome, String> {
    if program.tasks.is_empty() && program.unlisted.is_empty() {
        return Err(NO_TASKS.to_owned());
    }
    if text.is_none() && !writes {
        return Err(format!(
            "there is no {}: run this test with {VARIABLE}=write, and commit the file",
            path.display()
        ));
    }
    let parsed = text.map(parse::parse).transpose();
    let was = parsed.map_err(|wrong| format!("{}: {wrong}", path.display()))?.unwrap_or_default();
    Ok(compare_files(text, &was, program, path, writes))
}

const NO_TASKS: &str = "\
    this test has no task of the package: if they are in its library, mention that in the test, \
    `use shop as _;`, or the linker leaves them out; `assert_lock!(all)` takes the tasks of other \
    packages too";

fn compare_files(
    text: Option<&str>,
    was: &File,
    program: &Program<'_>,
    path: &Path,
    writes: bool,
) -> Outcome {
    let findings = judge::findings(was, program);
    let is = merge::merged(was, program, &findings);
    // Without a write, the difference shows what is to be decided too.
    let shown = if writes { is.clone() } else { merge::merged(was, program, &[]) };
    let report = Report { path, program, findings: &findings, was, is: &shown, is_written: writes };
    let passes = if writes {
        findings.iter().all(|finding| finding.is_written)
    } else {
        findings.is_empty()
    };
    let new_text = is.to_string();
    let changes = text != Some(&*new_text);
    let is_quiet = passes && !(writes && changes);
    let said = if is_quiet { String::new() } else { report.to_string() };
    Outcome { passes, said, text: (writes && changes).then_some(new_text) }
}
