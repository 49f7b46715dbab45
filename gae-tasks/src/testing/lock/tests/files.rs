//! The text of the file, and texts from people and from merges.

use proptest::prelude::*;

use super::super::parse::parse;
use super::*;
use crate::payload::schema::tests::schemas;

const LOCK: &str = r#"# The tasks that wait in queues are read by these names and types. A test with `assert_lock!()` of
# gae-tasks compares them with the code; run with GAE_TASKS_LOCK=write, it writes this file.
# Commit it.
version 1

task billing/charge
  retired
  crate shop
  queue payments
  queue slow
  alias shop.old/charge
  schema 01604baeb4b08ca7
    order: u64
    customer: {
      name: String,
      street_and_number: Option<String>,
      previous: Vec<#1 {day: u32, note: Option<String>}>,
      last: #1,
    }
    cents: u32
  accepts 01604baeb4b08ca7
    order: u64

task shop/send
  queue default
  schema 01604baeb4b08ca7
"#;

/// The text with the shapes of its schemas in their places.
fn lock() -> String {
    let customer = "{name: String, street_and_number: Option<String>, previous: Vec<#1 {day: u32, \
                    note: Option<String>}>, last: #1}";
    let shapes = [
        format!("(order: u64, customer: {customer}, cents: u32)"),
        "(order: u64)".into(),
        "()".into(),
    ];
    let mut parts = LOCK.split("01604baeb4b08ca7");
    let mut text = parts.next().unwrap().to_owned();
    for (part, shape) in parts.zip(shapes) {
        text.push_str(&schema(&shape).shape().to_string());
        text.push_str(part);
    }
    text
}

#[test]
fn a_file_has_one_text() {
    let text = lock();
    let file = parse(&text).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
    assert_eq!(file.to_string(), text);
    // Comments, blank lines and the line ends of Windows mean nothing.
    let other = text.replace("\n\n", "\n\n# a comment\n\n\n").replace('\n', "\r\n");
    assert_eq!(parse(&other), Ok(file));
}

#[test]
fn a_line_does_not_change_with_its_neighbours() {
    let lines = |text: &str| first(&program([("shop/send", task(text))])).to_string();
    let both = lines("(a: {x: u8, y: u8}, b: Vec<{x: u8, y: u8}>)");
    let line = "    b: Vec<{x: u8, y: u8}>\n";
    assert!(both.contains(line) && lines("(b: Vec<{x: u8, y: u8}>)").contains(line), "{both}");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let text = lock();
    let edits: &[(&str, &str, usize, &str)] = &[
        ("version 1", "version 2", 4, "a newer gae-tasks wrote this file"),
        ("version 1\n", "", 5, "`version 1` stands here"),
        ("task shop/send", "task shop send", 24, "`task` and a kind stand here"),
        ("task shop/send", "tusk shop/send", 24, "`task` and a kind stand here"),
        ("task shop/send", "task billing/charge", 24, "`billing/charge` is listed before"),
        ("  retired", "  tired", 7, "after two spaces, `queue`"),
        ("  queue slow", "   queue slow", 10, "after two spaces, `queue`"),
        ("  queue slow", "  queues slow", 10, "after two spaces, `queue`"),
        ("    order: u64\n    customer", "    order: u65\n    customer", 13, "a type stands here"),
        ("      name: String,", "      name: String", 16, "separated by `,`"),
        ("      last: #1,", "      last: #2,", 18, "a type stands here"),
        ("    cents: u32", "    cents: u32, euros: u32", 20, "one parameter stands in a line"),
        ("    cents: u32", "    cents: u64", 12, "edited by hand. Restore them"),
        ("    cents: u32\n", "", 12, "edited by hand. Restore them"),
        ("  accepts", "  schema", 21, "the task has a `schema` before"),
        ("  queue slow", "<<<<<<< HEAD", 10, "a merge conflict: keep the lines of both sides"),
        ("  queue slow", "=======", 10, "a merge conflict"),
        ("  queue slow", ">>>>>>> branch", 10, "a merge conflict"),
        ("  queue slow", "||||||| base", 10, "a merge conflict"),
    ];
    for (from, to, line, reason) in edits {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{from}");
        let wrong = parse(&edited).expect_err(to).to_string();
        assert!(wrong.starts_with(&format!("line {line}: ")), "{to}: {wrong}");
        assert!(wrong.contains(reason), "{to}: {wrong}");
    }
    let (before, _) = text.rsplit_once("  schema").unwrap();
    let wrong = parse(before).unwrap_err().to_string();
    assert!(wrong.starts_with("line 24: the task has no `schema`"), "{wrong}");
    assert!(parse("").unwrap_err().to_string().starts_with("line 1: `version 1` stands here"));
}

#[test]
fn both_sides_of_a_merge_are_kept() {
    let program_of = |text| program([("shop/send", task(text))]);
    let (ours, theirs) = ("(id: u64, a: Option<u8>)", "(id: u64, b: Option<u8>)");
    let [ours, theirs] = [ours, theirs].map(|text| first(&program_of(text)).to_string());
    let (_, lines) = theirs.split_once("  schema").unwrap();
    let both = format!("{ours}  schema{lines}");
    assert!(parse(&both).unwrap_err().to_string().contains("to `accepts`"));
    let both = format!("{ours}  accepts{lines}");
    let merged = program([("shop/send", task("(id: u64, a: Option<u8>, b: Option<u8>)"))]);
    let outcome = run(Some(&both), &merged, true).unwrap();
    assert!(outcome.passes, "{}", outcome.said);
    assert_eq!(outcome.text.unwrap().matches("  accepts").count(), 2);
}

#[test]
fn without_a_file_the_assert_says_how_to_make_one() {
    let program_now = program([("shop/send", task("(id: u64)"))]);
    let said = run(None, &program_now, false).err().unwrap();
    assert!(
        said.contains("there is no tasks.lock: run this test with GAE_TASKS_LOCK=write"),
        "{said}"
    );
    let made = run(None, &program_now, true).unwrap();
    assert!(made.passes && made.said.contains("is written"), "{}", made.said);
    let text = made.text.unwrap();
    let again = run(Some(&text), &program_now, true).unwrap();
    assert!(again.passes && again.said.is_empty() && again.text.is_none());
    let none = run(Some(&text), &Program::default(), true).err().unwrap();
    assert!(none.contains("`use shop as _;`"), "{none}");
}

#[test]
fn a_failed_assert_shows_what_differs() {
    let file = first(&program([("shop/send", task("(id: u64)")), ("shop/other", task("()"))]));
    let now = program([
        ("shop/send", task("(id: u64, note: Option<String>)")),
        ("shop/other", task("(id: u8)")),
    ]);
    let outcome = run(Some(&file.to_string()), &now, false).unwrap();
    assert!(!outcome.passes && outcome.text.is_none());
    let shown = format!(
        "tasks.lock and the tasks of this program differ:

shop/other (src/lib.rs:1)
  needs an attribute: parameter `id` is new, and tasks that wait have no value for it: write \
         `#[default] id: u8`, or a value, `#[default(..)] id: u8`, or make it an `Option`

shop/send (src/lib.rs:1)
  compatible: parameter `note` is new: tasks that wait get its default, or `None`

  task shop/other
    queue default
-   schema {}
+   schema {}
+     id: u8
+   accepts {0}

  task shop/send
    queue default
-   schema {}
+   schema {}
      id: u64
+     note: Option<String>
+   accepts {2}
+     id: u64

See above what to do about 1 of these changes. For the others, if they are meant, run this test \
         with GAE_TASKS_LOCK=write, and commit the file.
",
        schema("()").shape(),
        schema("(id: u8)").shape(),
        schema("(id: u64)").shape(),
        schema("(id: u64, note: Option<String>)").shape(),
    );
    assert_eq!(outcome.said, shown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_schema_is_read_back_from_the_file(schema in schemas(), older in schemas()) {
        let function = Reader { schema: &schema, parameters: &[], ignores: &[] };
        let read_by = FunctionAndUpgrades { function, upgrades: Vec::new() };
        let task = Task { read_by, ..task("()") };
        let mut file = File::default();
        let mut entry = task.entry();
        if older != schema {
            entry.older.insert(older.shape().to_bits(), older);
        }
        file.entries.insert("shop/send".to_owned(), entry);
        let text = file.to_string();
        let read = parse(&text);
        prop_assert_eq!(read.as_ref(), Ok(&file), "{}", text);
    }

    #[test]
    fn any_two_schemas_are_compared_to_an_end(one in schemas(), other in schemas()) {
        let before = program([("shop/send", task(&one.to_string()))]);
        let after = program([("shop/send", task(&other.to_string()))]);
        let found = findings(&first(&before), &after);
        prop_assert_eq!(found.is_empty(), one == other);
    }

    #[test]
    fn any_text_is_a_file_or_an_error(
        edits in prop::collection::vec((any::<usize>(), 0..TEXTS.len()), 1..4),
    ) {
        let mut text = lock();
        for (at, edit) in edits {
            let at = text.floor_char_boundary(at % text.len());
            match TEXTS[edit] {
                "" => _ = text.remove(at),
                part => text.insert_str(at, part),
            }
        }
        _ = parse(&text);
    }
}

const TEXTS: &[&str] = &[
    "",
    "",
    "\n",
    " ",
    "  ",
    "    ",
    "\t",
    "}",
    "{",
    "\"",
    "é",
    "task a/b\n",
    "  schema 01\n",
    "#1",
];
