//! SQLite can prepare every statement in the sources against the tables: none is dead or misspelt.

use std::fs;
use std::path::Path;

use super::super::connection::create;
use super::super::schema;
use super::Folder;

/// The beginnings of this backend's statements.
const VERBS: [&str; 9] = [
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "DELETE ",
    "PRAGMA ",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT ",
];

/// Returns the string literals of a source file, with their escapes resolved; comments and raw
/// strings contain no SQL.
fn literals(source: &str) -> Vec<String> {
    let code: Vec<_> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n").replace("'\"'", "");
    let (mut literals, mut rest) = (Vec::new(), code.as_str());
    while let Some((_, after)) = rest.split_once('"') {
        let mut text = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().expect("a literal ends") {
                (at, '"') => break at,
                (_, '\\') => match letters.next().expect("something is escaped").1 {
                    '\n' => {
                        let left = letters.as_str();
                        let skipped = left.len() - left.trim_start().len();
                        (0..skipped).for_each(|_| _ = letters.next());
                    }
                    letter => text.push(letter),
                },
                (_, letter) => text.push(letter),
            }
        };
        literals.push(text);
        rest = &after[end + 1..];
    }
    literals
}

/// Returns the statements in the sources of this backend, each with its file.
fn statements() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/sqlite");
    let mut statements = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let of_file = literals(&fs::read_to_string(&path).unwrap());
        let parts = of_file.iter().flat_map(|text| text.split("; "));
        let found = parts.filter(|part| VERBS.iter().any(|verb| part.starts_with(verb)));
        statements.extend(found.map(|part| (file.clone(), part.to_owned())));
    }
    statements
}

#[test]
fn every_statement_can_be_prepared() {
    let folder = Folder::new();
    let (_, mut connection) = create(&folder.file()).unwrap();
    schema::ensure(&mut connection).unwrap();
    let statements = statements();
    assert!(statements.len() > 30, "only {} were found", statements.len());
    for (file, statement) in &statements {
        // Beginnings of statements that code completes, or formats of names; running them, here and
        // in `plans`, tests them.
        if statement.ends_with(['(', ' ']) || statement.contains('{') {
            continue;
        }
        let prepared = connection.prepare(statement);
        assert!(prepared.is_ok(), "{file}: {statement}\n{:?}", prepared.err());
    }
}

#[test]
fn a_statement_is_found_however_it_is_written() {
    let source = "const A: &str = \"SELECT 1 \\\n      FROM t\"; // \"no\nf(\"x\", \
                  \"DELETE FROM \\\"t\\\"\")";
    assert_eq!(
        literals(source.split(" // \"no").collect::<String>().as_str()),
        ["SELECT 1 FROM t", "x", "DELETE FROM \"t\""]
    );
}
