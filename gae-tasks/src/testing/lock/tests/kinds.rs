//! Kinds that come, go and move, and the files that several builds write.

use super::*;
use crate::testing::lock::format::Presence;

fn presence(file: &File, kind: &str) -> Presence {
    file.entries[kind].presence
}

fn one(kind: &'static str) -> Program<'static> {
    program([(kind, task("(id: u64)"))])
}

fn with(change: impl FnOnce(&mut Task<'static>)) -> Task<'static> {
    let mut task = task("(id: u64)");
    change(&mut task);
    task
}

#[test]
fn edits_of_kinds_queues_and_aliases() {
    let file = first(&one("shop.mail/send"));
    let queued = with(|task| task.queues = &["emails", "more"]);
    let moved = with(|task| task.aliases = &["shop.mail/send"]);
    let other = with(|task| task.krate = "lib");
    let aliased = first(&program([("shop/new", moved.clone())]));
    let none = || Program { crates: Some(["shop".to_owned()].into()), ..Program::default() };
    type Row<'a> = (&'a str, &'a File, Program<'static>, &'a [(Class, bool, &'a str)]);
    let rows: [Row<'_>; 10] = [
        (
            "a task is added",
            &file,
            program([("shop.mail/send", task("(id: u64)")), ("shop/x", task("()"))]),
            &[(COMPATIBLE, true, "a new task")],
        ),
        (
            "a task is removed",
            &file,
            none(),
            &[(STRANDS, true, "write `alias = [\"shop.mail/send\"]`")],
        ),
        (
            "a task moves",
            &file,
            one("shop.emails/send"),
            &[(
                ATTRIBUTE,
                false,
                "If that is this function, which has moved, write `alias = [\"shop.mail/send\"]`",
            )],
        ),
        (
            "another task of that name",
            &file,
            program([("shop.emails/send", task("(id: String)"))]),
            &[
                (COMPATIBLE, true, "a new task"),
                (STRANDS, true, "the program does not have this task"),
            ],
        ),
        (
            "a task moves to another crate",
            &file,
            one("lib.mail/send"),
            &[(ATTRIBUTE, false, "which has moved, write `alias = [\"shop.mail/send\"]`")],
        ),
        (
            "a task moves with its alias",
            &file,
            program([("shop/new", moved)]),
            &[
                (COMPATIBLE, true, "a new task"),
                (COMPATIBLE, true, "`shop.mail/send` is run by this function now"),
            ],
        ),
        (
            "an alias is dropped",
            &aliased,
            one("shop/new"),
            &[(ATTRIBUTE, false, "Write `alias = [\"shop.mail/send\"]` again")],
        ),
        (
            "an alias is added",
            &file,
            program([("shop.mail/send", with(|task| task.aliases = &["old/kind"]))]),
            &[(COMPATIBLE, true, "the alias `old/kind` is new")],
        ),
        (
            "a task gets other queues",
            &file,
            program([("shop.mail/send", queued)]),
            &[(COMPATIBLE, true, "tasks that wait in `default` stay there")],
        ),
        (
            "a named task moves to another crate",
            &file,
            program([("shop.mail/send", other)]),
            &[(COMPATIBLE, true, "moved from the crate `shop` to `lib`")],
        ),
    ];
    for (name, file, program, expected) in rows {
        assert_found(name, &findings(file, &program), expected);
    }
}

#[test]
fn a_task_that_cannot_be_listed_is_told_and_not_missed() {
    let file = first(&one("shop/send"));
    let mut now = program([("shop/other", task("()"))]);
    now.unlisted.push(("shop/send", "cannot be stored: `id` asks".to_owned()));
    let expected = [
        (COMPATIBLE, true, "a new task"),
        (STRANDS, false, "no task of it can be deferred: cannot"),
    ];
    assert_found("unlisted", &findings(&file, &now), &expected);
}

#[test]
fn a_moved_task_brings_its_schemas_and_those_must_be_read() {
    let file = first(&program([("shop/a", task("(id: u32)"))]));
    let file = written(&file, &program([("shop/a", task("(id: u64)"))]));
    let moved = |schema| Task { aliases: &["shop/a"], ..task(schema) };
    let now = program([("shop/b", moved("(id: u64)"))]);
    let file_now = written(&file, &now);
    assert_eq!(file_now.entries.len(), 1);
    let entry = &file_now.entries["shop/b"];
    assert!(entry.aliases.contains("shop/a") && entry.older.len() == 1, "{entry:?}");
    assert!(findings(&file_now, &now).is_empty());

    let found = findings(&file, &program([("shop/b", moved("(id: String)"))]));
    assert_eq!(found.iter().filter(|finding| finding.class == STRANDS).count(), 2, "{found:#?}");
}

#[test]
fn a_removed_task_is_retired_until_it_is_deleted_by_hand() {
    let file = first(&program([("shop/a", task("(id: u64)")), ("shop/b", task("()"))]));
    let file = written(&file, &one("shop/a"));
    assert_eq!(presence(&file, "shop/b"), Presence::Retired);
    assert!(file.to_string().contains("task shop/b\n  retired\n"));
    assert!(findings(&file, &one("shop/a")).is_empty());
    assert_eq!(written(&file, &one("shop/a")), file, "no write deletes it");
}

#[test]
fn builds_with_other_features_share_a_file_and_all_of_them_pass() {
    let (unix, windows) = (
        program([("shop/a", task("()")), ("shop/u", task("()"))]),
        program([("shop/a", task("()")), ("shop/w", task("()"))]),
    );
    let file = first(&unix);
    let file = written(&file, &windows);
    assert_eq!(presence(&file, "shop/u"), Presence::Retired);
    assert!(findings(&file, &unix).iter().all(|finding| finding.kind == "shop/w"));
    let file = written(&file, &unix);
    assert_eq!(
        (presence(&file, "shop/u"), presence(&file, "shop/w")),
        (Presence::Optional, Presence::Retired)
    );
    let file = written(&file, &windows);
    for build in [&unix, &windows] {
        assert!(findings(&file, build).is_empty());
        assert_eq!(written(&file, build), file, "no write changes it again");
    }
}

#[test]
fn builds_whose_parameters_differ_share_a_file_and_both_pass() {
    let plain = program([("shop/a", task("(id: u64)"))]);
    let traced = program([("shop/a", task("(id: u64, trace: Option<String>)"))]);
    let mut ignoring = task("(id: u64)");
    ignoring.read_by.function.ignores = &["trace"];
    let ignoring = program([("shop/a", ignoring)]);
    let file = written(&first(&plain), &traced);
    assert_found(
        "one that forgets",
        &findings(&file, &plain),
        &[(ATTRIBUTE, false, "[\"trace\"]")],
    );
    for build in [&ignoring, &traced] {
        assert!(findings(&file, build).is_empty());
        assert_eq!(written(&file, build), file, "no write changes it again");
    }
}

#[test]
fn a_program_looks_after_its_own_crates_only() {
    let file = first(&one("shop/a"));
    let worker = Program {
        crates: Some(["worker".to_owned()].into()),
        ..program([("worker/run", Task { krate: "worker", ..task("()") })])
    };
    assert_found("new", &findings(&file, &worker), &[(COMPATIBLE, true, "a new task")]);
    let file = written(&file, &worker);
    assert_eq!(presence(&file, "shop/a"), Presence::Everywhere);
    assert!(findings(&file, &worker).is_empty() && findings(&file, &one("shop/a")).is_empty());

    let all = Program { crates: None, ..worker };
    assert_found("all", &findings(&file, &all), &[(STRANDS, true, "does not have this task")]);
}

#[test]
fn a_write_leaves_what_may_have_moved_and_takes_the_rest() {
    let file = first(&program([("shop.a/send", task("()")), ("shop/gone", task("(id: u8)"))]));
    let now = program([("shop.b/send", task("()")), ("shop/new", task("(id: u64)"))]);
    let outcome = run(Some(&file.to_string()), &now, true).unwrap();
    assert!(
        !outcome.passes && outcome.said.contains("needs more than a write"),
        "{}",
        outcome.said
    );
    assert!(!outcome.said.contains("shop/gone ("), "what is written is done: {}", outcome.said);
    let text = outcome.text.unwrap();
    let merged = super::super::parse::parse(&text).unwrap();
    let kinds: Vec<_> = merged.entries.keys().collect();
    assert_eq!(kinds, ["shop.a/send", "shop/gone", "shop/new"]);
    assert_eq!(presence(&merged, "shop.a/send"), Presence::Everywhere);
    assert_eq!(presence(&merged, "shop/gone"), Presence::Retired);

    // Both ways out by hand.
    for word in ["optional", "retired"] {
        let text = text.replace("task shop.a/send\n", &format!("task shop.a/send\n  {word}\n"));
        let outcome = run(Some(&text), &now, true).unwrap();
        assert!(outcome.passes && outcome.text.unwrap().contains("task shop.b/send\n"), "{word}");
    }
}
