//! The width of code, scripts and manifests: rustfmt leaves macros, strings and comments alone.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The most characters in a line.
const WIDTH: usize = 100;

/// The extensions of the files that are measured.
const MEASURED: &[&str] = &["rs", "sh", "toml"];

/// The lines that are longer: their files, and how they begin.
const LONG_LINES: &[(&str, &str)] = &[
    // Bytes and texts that tests compare as they are.
    ("gae-tasks/src/envelope.rs", "const GOLDEN: "),
    ("gae-tasks/src/testing/lock/tests/files.rs", "const LOCK: "),
    ("tests/tests/it/described.rs", "const SHOWN: "),
    // The name of a case of the suite.
    ("gae-tasks/src/testing/conformance/clock.rs", "pub(super) async fn a_retry_that_goes_back_"),
];

/// The files and folders that are not measured.
const UNMEASURED: &[&str] = &[
    // The stored answers of the compiler show these lines.
    "tests/ui/",
];

/// Returns the measured files, by their paths from the root of the repository, with their texts.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    find(&root, &mut files);
    assert!(files.len() > 500, "{} files", files.len());
    let with_text = |path: PathBuf| {
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (file, fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(with_text).collect()
}

/// Finds the measured files in a folder, but not what is built or hidden there.
fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                find(&path, files);
            }
        } else if name.rsplit_once('.').is_some_and(|(_, kind)| MEASURED.contains(&kind)) {
            files.push(path);
        }
    }
}

fn is_long(line: &str) -> bool {
    line.chars().count() > WIDTH
}

/// Whether a line cannot be broken: a row of a table in a comment, or a line with a URL.
fn is_unbreakable(line: &str) -> bool {
    let line = line.trim_start();
    let comment = line.strip_prefix("//").or_else(|| line.strip_prefix('#'));
    let is_row = comment
        .is_some_and(|text| text.trim_start_matches(['/', '!']).trim_start().starts_with('|'));
    is_row || line.contains("://")
}

fn is_listed(file: &str, line: &str) -> bool {
    let is_named =
        |(of, begins): &(&str, &str)| file == *of && line.trim_start().starts_with(*begins);
    LONG_LINES.iter().any(is_named) || UNMEASURED.iter().any(|free| file.starts_with(*free))
}

#[test]
fn no_line_is_longer_than_a_hundred_columns() {
    let mut long = Vec::new();
    for (file, text) in sources() {
        for (at, line) in text.lines().enumerate() {
            if is_long(line) && !is_unbreakable(line) && !is_listed(&file, line) {
                long.push(format!("{file}:{}", at + 1));
            }
        }
    }
    assert!(long.is_empty(), "these lines have more than {WIDTH} columns: {long:#?}");
}

#[test]
fn every_long_line_that_is_listed_exists() {
    let sources = sources();
    for (file, begins) in LONG_LINES {
        let (_, text) = sources.iter().find(|(path, _)| path == file).expect("a listed file");
        let is_there =
            text.lines().any(|line| is_long(line) && line.trim_start().starts_with(*begins));
        assert!(is_there, "{file} has no long line that begins with `{begins}`");
    }
}

#[test]
fn only_tables_and_urls_cannot_be_broken() {
    for line in ["/// | a | b |", "    //! | a | b |", "# | a | b |", "let url = \"memory://x\";"] {
        assert!(is_unbreakable(line), "{line}");
    }
    for line in ["    || call()", "| One", "// a | b", "#[test]", "//! a table:"] {
        assert!(!is_unbreakable(line), "{line}");
    }
}
