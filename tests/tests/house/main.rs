//! The house rules that a machine can check: floors, circles, first sentences, the door, width.

mod circles;
mod code;
mod readme;
mod uses;
mod width;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use crate::uses::{Sources, Use};

/// The floors of `gae-tasks/src`, lowest first; a module may use modules of its own floor and
/// below.
const FLOORS: &[&[&str]] = &[
    &[
        "task",
        "payload",
        "outcome",
        "time",
        "error",
        "queue",
        "retention",
        "version",
        "yaml",
        "unwind",
        "log",
        "attributes",
        "envelope",
        "random",
        "process",
        "text",
        "cron",
    ],
    &[
        "backend",
        "registration",
        "routed",
        "registry",
        "task_type",
        "context",
        "handler",
        "clock",
        "payload_store",
        "spilling",
    ],
    &["dispatch"],
    &["worker", "relay", "push"],
    &["client", "defer", "retried", "testing", "guide"],
    &["private"],
];

/// The files of `gae-tasks/src`.
static SOURCES: LazyLock<Sources> = LazyLock::new(|| {
    let sources = uses::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../gae-tasks/src"));
    assert!(sources.len() > 30, "the sources were not found");
    sources
});

/// The uses among the files.
static USES: LazyLock<Vec<Use>> = LazyLock::new(|| {
    let uses = uses::uses(&SOURCES);
    assert!(uses.len() > 500, "{} uses", uses.len());
    uses
});

/// Returns the module of `src` that contains a file.
fn module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn every_module_stands_on_a_floor() {
    for file in SOURCES.keys() {
        assert!(file == "lib.rs" || floor(module(file)).is_some(), "{file} stands on no floor");
    }
}

#[test]
fn no_module_uses_one_above_it() {
    let goes_up = |one: &&Use| floor(module(&one.from)) < floor(module(&one.to));
    let up: Vec<_> = USES.iter().filter(goes_up).map(Use::to_string).collect();
    assert!(up.is_empty(), "{up:#?}");
}

#[test]
fn no_file_uses_one_that_uses_it() {
    let circles = circles::circles(&USES);
    let listed: Vec<Vec<_>> =
        circles.iter().map(|circle| circle.iter().map(|one| one.to_string()).collect()).collect();
    assert!(listed.is_empty(), "circles: {listed:#?}");
}

#[test]
fn backends_know_neither_each_other_nor_what_runs_and_only_the_surface_knows_them() {
    let others =
        ["registration", "routed", "registry", "task_type", "context", "handler", "dispatch"];
    let folders = ["backend/memory", "backend/sqlite", "backend/postgres", "backend/cloud_tasks"];
    let backend = |file: &str| folders.iter().find(|folder| file.starts_with(*folder));
    for one in &*USES {
        let (from, to) = (backend(&one.from), backend(&one.to));
        assert!(from.is_none() || !others.contains(&module(&one.to)), "{one}");
        let is_surface = floor(module(&one.from)) == floor("client");
        assert!(to.is_none() || from == to || from.is_none() && is_surface, "{one}");
    }
}

/// The files that may use `dyn Any`.
const UNTYPED: &[&str] = &[
    // The user's state, with one value of each type; the text of a panic.
    "context.rs",
    "unwind.rs",
];

#[test]
fn no_type_is_hidden_from_the_floors() {
    for (file, source) in SOURCES.iter().filter(|(file, _)| !UNTYPED.contains(&file.as_str())) {
        assert!(
            !source.contains("dyn Any"),
            "{file}: a `dyn Any` hides its type from the rule of floors"
        );
    }
}

#[test]
fn every_file_opens_with_a_sentence() {
    for (file, source) in &*SOURCES {
        let opens = source.starts_with("//! ") || source.starts_with("#![doc = include_str!");
        assert!(opens, "{file} does not open with a `//!` sentence");
    }
}

/// The files that may log without `log::say`.
const UNSAID: &[&str] = &[
    // The user's own log line, inside a handler.
    "retried.rs",
];

#[test]
fn a_log_that_panics_loses_its_line_only() {
    let (mut bare, levels) = (Vec::new(), ["error!(", "warn!(", "info!(", "debug!(", "trace!("]);
    for (path, source) in SOURCES.iter().filter(|(path, _)| !UNSAID.contains(&path.as_str())) {
        let source = source.split("#[cfg(test)]").next().unwrap();
        let code: Vec<_> =
            source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        for (at, _) in code.match_indices("tracing::") {
            let (before, rest) = code.split_at(at);
            let is_line = levels.iter().any(|level| rest["tracing::".len()..].starts_with(level));
            let said = before.rsplit_once("log::say").map_or("", |(_, said)| said);
            if is_line && said.matches('(').count() <= said.matches(')').count() {
                bare.push(format!("{path}: {}", rest.lines().next().unwrap()));
            }
        }
    }
    assert!(bare.is_empty(), "these lines must be logged by `log::say(|| ..)`: {bare:#?}");
}

/// Two versions in one program need two names of slices, or the linker would join the slices.
#[test]
fn the_slice_of_registrations_is_named_after_the_version() {
    let (_, name) = SOURCES["registration.rs"].split_once("pub static ").expect("a static");
    let (name, _) = name.split_once(':').expect("its type");
    let version =
        env!("CARGO_PKG_VERSION").rsplit_once('.').expect("three numbers").0.replace('.', "_");
    assert_eq!(name, format!("GAE_TASKS_REGISTRATIONS_{version}"));
}

#[test]
fn where_there_is_no_linker_to_register_tasks_the_crate_says_so_first() {
    let (before, _) = SOURCES["lib.rs"].split_once("mod attributes;").expect("the first module");
    assert!(before.contains("#[cfg(target_family = \"wasm\")]\ncompile_error!(\n"), "{before}");
}

#[test]
fn the_door_only_re_exports() {
    for line in
        SOURCES["private.rs"].lines().filter(|line| !line.is_empty() && !line.starts_with("//"))
    {
        let is_part_of_a_use =
            line.starts_with("pub use ") || line.starts_with("    ") || line == "};";
        assert!(is_part_of_a_use, "the door contains more than re-exports: {line}");
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the problem with a name that `PEERS.md` calls a test, if any.
fn missing(test: &str) -> Option<String> {
    if test.starts_with("ui/") {
        let is_there = Path::new(env!("CARGO_MANIFEST_DIR")).join(test).exists();
        return (!is_there).then(|| format!("there is no case `{test}`"));
    }
    let (modules, name) = test.rsplit_once("::").unwrap_or_default();
    let file = match modules.split_once("::").unwrap_or((modules, "")) {
        ("conformance", subject) => format!("../gae-tasks/src/testing/conformance/{subject}.rs"),
        ("sqlite", subject) => format!("../gae-tasks/src/backend/sqlite/tests/{subject}.rs"),
        ("cron", subject) => format!("../gae-tasks/src/cron/tests/{subject}.rs"),
        ("push", subject) => format!("push/tests/it/{}.rs", subject.replace("::", "/")),
        ("postgres", subject) => format!("postgres/tests/{}.rs", subject.replace("::", "/")),
        _ => {
            // In a test binary of that name, or in `it`.
            let file = format!("{}.rs", modules.replace("::", "/"));
            let own = [format!("tests/{file}"), format!("tests/{modules}/main.rs")];
            let own = own
                .into_iter()
                .find(|own| Path::new(env!("CARGO_MANIFEST_DIR")).join(own).exists());
            own.unwrap_or_else(|| format!("tests/it/{file}"))
        }
    };
    let source = read(&file);
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else {
        return Some(format!("there is no `{name}` in {file}"));
    };
    // A case of the suite that is not listed does not build.
    let is_a_test =
        file.contains("conformance") || before.trim_end_matches("async ").trim_end().ends_with(']');
    (!is_a_test).then(|| format!("`{name}` in {file} is not a test"))
}

#[test]
fn every_test_against_the_mistakes_of_others_exists() {
    let list = read("PEERS.md");
    let rows: Vec<_> =
        list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what")).collect();
    assert!(rows.len() > 40, "{} rows", rows.len());
    let mut problems = Vec::new();
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests: Vec<_> = tests.split_whitespace().map(|test| test.trim_matches('`')).collect();
        assert!(!tests.is_empty() && tests.len() < 6, "{row}");
        problems.extend(tests.into_iter().filter_map(missing));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_crate_of_tasks_depends_on_nothing_else() {
    // The crate has tasks with parameters and builds without serde among its dependencies.
    let manifest = read("crates/linked/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]\n").unwrap();
    let dependencies: Vec<_> = dependencies.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(dependencies, ["gae-tasks.workspace = true"]);
    assert!(
        read("crates/linked/src/reports.rs")
            .contains("fn write_report(file: String, text: String)")
    );
}
