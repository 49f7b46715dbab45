//! The house rules that a machine can check: floors, first sentences, the door.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors of `gae-tasks/src`, lowest first; a module may use those of its own floor and below.
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
        "unwind",
        "log",
        "attributes",
        "envelope",
        "random",
        "text",
    ],
    &["backend", "registry", "context", "handler", "clock", "payload_store", "spilling"],
    &["dispatch"],
    &["worker", "push"],
    &["client", "defer", "retried", "testing"],
    &["__private", "private"],
];

/// Uses that go up, each for a reason that is told where it stands.
const EXCEPTIONS: &[(&str, &str)] = &[
    // `Task` and `Args` name each other, and a task type hands out its registration.
    ("task", "registry"),
    // What its macro expands to names the door, as all expansions do.
    ("retried", "__private"),
];

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../gae-tasks/src"), &mut files);
    assert!(files.len() > 30, "the sources were not found");
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The module of `src` that a file belongs to.
fn module(file: &Path) -> String {
    let inside = file.to_str().unwrap().split("gae-tasks/src/").last().unwrap();
    inside.split(['/', '.']).next().unwrap().to_owned()
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The modules that a file names by `crate::module` or `crate::{module, ..}`, outside of its own tests and docs.
fn used(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut modules = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => modules.extend(list.split('}').next().unwrap().split(',').map(name)),
            None => modules.push(name(rest)),
        }
    }
    modules
}

#[test]
fn uses_are_found_however_they_are_written() {
    let source = "use crate::{client::Client, time};\n#[cfg(test)]\nmod x;\nuse crate::defer::Defer;\n// crate::no";
    assert_eq!(used(source), ["client", "time", "defer"]);
}

#[test]
fn every_module_stands_on_a_floor() {
    for file in sources() {
        let module = module(&file);
        assert!(module == "lib" || floor(&module).is_some(), "{} stands on no floor", file.display());
    }
}

#[test]
fn no_module_uses_one_above_it() {
    let mut up = Vec::new();
    for file in sources() {
        let module = module(&file);
        let Some(own) = floor(&module) else { continue };
        for used in used(&fs::read_to_string(&file).unwrap()) {
            let goes_up = floor(&used).is_some_and(|other| other > own);
            if goes_up && !EXCEPTIONS.contains(&(module.as_str(), used.as_str())) {
                up.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(up.is_empty(), "{up:#?}");
}

#[test]
fn backends_do_not_know_each_other_or_what_runs() {
    for file in sources() {
        let path = file.to_str().unwrap().to_owned();
        let folders = ["/backend/memory", "/backend/sqlite", "/backend/cloud_tasks"];
        if !folders.iter().any(|folder| path.contains(folder)) {
            continue;
        }
        for used in used(&fs::read_to_string(&file).unwrap()) {
            assert!(!["registry", "context", "handler", "dispatch"].contains(&used.as_str()), "{path} uses {used}");
        }
    }
}

#[test]
fn every_file_opens_with_a_sentence() {
    for file in sources() {
        let source = fs::read_to_string(&file).unwrap();
        let opens = source.starts_with("//! ") || source.starts_with("#![doc = include_str!");
        assert!(opens, "{} does not open with a `//!` sentence", file.display());
    }
}

/// Where a line may be written to the log without more ado.
const UNSAID: &[&str] = &[
    // The user's own line, in a handler's guard.
    "/retried.rs",
];

#[test]
fn a_log_that_panics_loses_its_line_only() {
    let (mut bare, levels) = (Vec::new(), ["error!(", "warn!(", "info!(", "debug!(", "trace!("]);
    for file in sources() {
        let (path, source) = (file.to_str().unwrap().to_owned(), fs::read_to_string(&file).unwrap());
        if UNSAID.iter().any(|unsaid| path.contains(unsaid)) {
            continue;
        }
        let source = source.split("#[cfg(test)]").next().unwrap();
        let code: Vec<_> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
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
    assert!(bare.is_empty(), "to be said by `log::say(|| ..)`: {bare:#?}");
}

#[test]
fn the_door_only_re_exports() {
    let door = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../gae-tasks/src/private.rs")).unwrap();
    for line in door.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
        let is_part_of_a_use = line.starts_with("pub use ") || line.starts_with("    ") || line == "};";
        assert!(is_part_of_a_use, "the door has something of its own: {line}");
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Why what `PEERS.md` calls a test is none.
fn missing(test: &str) -> Option<String> {
    if test.starts_with("ui/") {
        let is_there = Path::new(env!("CARGO_MANIFEST_DIR")).join(test).exists();
        return (!is_there).then(|| format!("there is no case `{test}`"));
    }
    let (modules, name) = test.rsplit_once("::").unwrap_or_default();
    let file = match modules.split_once("::").unwrap_or((modules, "")) {
        ("conformance", subject) => format!("../gae-tasks/src/testing/conformance/{subject}.rs"),
        ("sqlite", subject) => format!("../gae-tasks/src/backend/sqlite/tests/{subject}.rs"),
        ("push", subject) => format!("push/tests/it/{}.rs", subject.replace("::", "/")),
        _ => {
            // In a test binary of that name, or in the one of all others.
            let file = format!("{}.rs", modules.replace("::", "/"));
            let own = format!("tests/{file}");
            if Path::new(env!("CARGO_MANIFEST_DIR")).join(&own).exists() { own } else { format!("tests/it/{file}") }
        }
    };
    let source = read(&file);
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else {
        return Some(format!("there is no `{name}` in {file}"));
    };
    // A case of the suite that is not on its list does not build.
    let is_a_test = file.contains("conformance") || before.trim_end_matches("async ").trim_end().ends_with(']');
    (!is_a_test).then(|| format!("`{name}` in {file} is no test"))
}

#[test]
fn every_test_against_the_mistakes_of_others_exists() {
    let list = read("PEERS.md");
    let rows: Vec<_> = list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what")).collect();
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
    // Its tasks have parameters, and it builds: nobody who annotates functions has to know of serde.
    let manifest = read("crates/linked/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]\n").unwrap();
    let dependencies: Vec<_> = dependencies.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(dependencies, ["gae-tasks.workspace = true"]);
    assert!(read("crates/linked/src/reports.rs").contains("fn write_report(file: String, text: String)"));
}
