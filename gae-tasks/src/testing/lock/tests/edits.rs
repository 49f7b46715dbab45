//! Edits of parameters and their types.

use super::*;

/// An edit: the schema before and after, and each finding's class, whether a write takes it, and a
/// part of its text.
type Edit = (&'static str, &'static str, &'static str, &'static [(Class, bool, &'static str)]);

const EDITS: &[Edit] = &[
    ("no edit", "(id: u64)", "(id: u64)", &[]),
    (
        "a parameter is added",
        "(id: u64)",
        "(id: u64, note: String)",
        &[(
            ATTRIBUTE,
            false,
            "write `#[default] note: String`, or a value, `#[default(..)] note: String`",
        )],
    ),
    (
        "an optional parameter is added",
        "(id: u64)",
        "(id: u64, note: Option<String>)",
        &[(
            COMPATIBLE,
            true,
            "parameter `note` is new: tasks that wait get its default, or `None`",
        )],
    ),
    (
        "a parameter is removed",
        "(id: u64, note: String)",
        "(id: u64)",
        &[(ATTRIBUTE, false, "write `ignores = [\"note\"]` in the attribute")],
    ),
    (
        "a parameter is renamed",
        "(user: u64, note: String)",
        "(user_id: u64, note: String)",
        &[(
            ATTRIBUTE,
            false,
            "`user` seems to be called `user_id` now: write `#[alias(\"user\")] user_id: u64`",
        )],
    ),
    (
        "a parameter is renamed and moved",
        "(user: u64, note: String)",
        "(note: String, user_id: u64)",
        &[(ATTRIBUTE, false, "write `#[alias(\"user\")] user_id: u64`")],
    ),
    (
        "a function becomes a method",
        "(invoice: {number: u64}, to: String)",
        "(self: {number: u64}, to: String)",
        &[(
            MEANING,
            false,
            "parameter `invoice` has given way to `self`. If that is another name for the same, \
             write `#[alias(\"invoice\")] self`. If it is another value",
        )],
    ),
    (
        "a parameter gives way to another",
        "(cents: u64)",
        "(euros: u64)",
        &[(
            MEANING,
            false,
            "parameter `cents` has given way to `euros`. If that is another name for the same, \
             write `#[alias(\"cents\")] euros: u64`. If it is another value, no task that waits \
             has it: write `ignores = [\"cents\"]` and `#[default(..)] euros: u64`, or convert \
             with `upgrade = ..`",
        )],
    ),
    (
        "a parameter gives way to one of another type",
        "(cents: u64)",
        "(price: String)",
        &[
            (ATTRIBUTE, false, "write `ignores = [\"cents\"]`"),
            (ATTRIBUTE, false, "write `#[default] price: String`"),
        ],
    ),
    (
        "a parameter of one type is removed and another added elsewhere",
        "(note: String, id: u64)",
        "(id: u64, channel: String)",
        &[(ATTRIBUTE, false, "[\"note\"]"), (ATTRIBUTE, false, "#[default] channel: String")],
    ),
    (
        "parameters of one type change places",
        "(from: u64, to: u64)",
        "(to: u64, from: u64)",
        &[(
            MEANING,
            true,
            "parameters of one type have changed places: `from, to` are now `to, from`. Tasks that \
             wait are read by name: what they have as `from` stays `from`",
        )],
    ),
    (
        "only those of one type are named",
        "(a: u8, b: String, c: u8, d: u8)",
        "(c: u8, b: String, a: u8, d: u8)",
        &[(MEANING, true, "`a, c` are now `c, a`")],
    ),
    (
        "parameters of different types change places",
        "(id: u64, note: String)",
        "(note: String, id: u64)",
        &[(COMPATIBLE, true, "read by name")],
    ),
    (
        "a type becomes another",
        "(cents: u32)",
        "(cents: String)",
        &[(
            STRANDS,
            false,
            "parameter `cents`: was `u32`, is `String`. Tasks that wait cannot be read. Keep the \
             old function under its kind",
        )],
    ),
    ("a number is widened", "(cents: u32)", "(cents: u64)", &[(COMPATIBLE, true, "read by name")]),
    (
        "a number is narrowed",
        "(cents: u64)",
        "(cents: u32)",
        &[(COMPATIBLE, true, "was `u64`, is `u32`: numbers that do not fit wait")],
    ),
    ("a number gets a sign", "(n: u32)", "(n: i64)", &[(COMPATIBLE, true, "read by name")]),
    ("a number becomes a bool", "(n: u8)", "(n: bool)", &[(STRANDS, false, "was `u8`, is `bool`")]),
    (
        "a value becomes optional",
        "(n: u8)",
        "(n: Option<u8>)",
        &[(COMPATIBLE, true, "read by name")],
    ),
    (
        "a value is no longer optional",
        "(n: Option<u8>)",
        "(n: u8)",
        &[(COMPATIBLE, true, "tasks that hold `None` wait")],
    ),
    (
        "the type in a list becomes another",
        "(tags: Vec<u32>)",
        "(tags: Vec<String>)",
        &[(STRANDS, false, "parameter `tags`: was `Vec<u32>`, is `Vec<String>`")],
    ),
    (
        "a field is added",
        "(transfer: {id: u64})",
        "(transfer: {id: u64, note: String})",
        &[(
            ATTRIBUTE,
            true,
            "field `transfer.note` is new, and tasks that wait have no value for it: write \
                             `#[serde(default)]` on it",
        )],
    ),
    (
        "an optional field is added",
        "(transfer: {id: u64})",
        "(transfer: {id: u64, note: Option<String>})",
        &[(COMPATIBLE, true, "field `transfer.note` is new")],
    ),
    (
        "a field is removed",
        "(transfer: {id: u64, note: String})",
        "(transfer: {id: u64})",
        &[(ATTRIBUTE, false, "write `ignores = [\"transfer.note\"]`")],
    ),
    (
        "a field is renamed",
        "(users: Vec<{name: String, mail: String}>)",
        "(users: Vec<{name: String, email: String}>)",
        &[(
            ATTRIBUTE,
            false,
            "field `users[].mail` seems to be called `email` now: write `#[serde(alias = \
             \"mail\")]` on the field `email`",
        )],
    ),
    (
        "a field is renamed and has its alias",
        "(users: Vec<{name: String, mail: String}>)",
        "(users: Vec<{name: String, email|mail: String}>)",
        &[(COMPATIBLE, true, "read by name")],
    ),
    (
        "a field gives way to another",
        "(price: {cents: u64})",
        "(price: {euros: u64})",
        &[(
            MEANING,
            false,
            "field `price.cents` has given way to `euros`. If that is another name for the same, \
             write `#[serde(alias = \"cents\")]` on the field `euros`. If it is another value",
        )],
    ),
    (
        "fields of one type change places",
        "(transfers: Vec<{from: u64, to: u64}>)",
        "(transfers: Vec<{to: u64, from: u64}>)",
        &[(
            MEANING,
            true,
            "fields of `transfers[]` of one type have changed places: `from, to` are now `to, \
             from`",
        )],
    ),
    (
        "a variant is added",
        "(action: enum {Delete, Suspend})",
        "(action: enum {Delete, Archive, Suspend})",
        &[(COMPATIBLE, true, "read by name")],
    ),
    (
        "variants change places",
        "(action: enum {Delete, Suspend})",
        "(action: enum {Suspend, Delete})",
        &[(COMPATIBLE, true, "read by name")],
    ),
    (
        "a variant is removed",
        "(action: enum {Delete, Suspend})",
        "(action: enum {Suspend})",
        &[(STRANDS, true, "variant `action::Delete` is gone: tasks that hold it wait")],
    ),
    (
        "a variant is renamed",
        "(state: enum {Open, Cancelled})",
        "(state: enum {Open, Canceled})",
        &[(ATTRIBUTE, false, "write `#[serde(alias = \"Cancelled\")]` on the variant `Canceled`")],
    ),
    (
        "a variant gives way to another",
        "(action: enum {Delete, Keep})",
        "(action: enum {Suspend, Keep})",
        &[(MEANING, false, "variant `action::Delete` has given way to `Suspend`")],
    ),
    (
        "the content of a variant becomes another",
        "(action: enum {Pay(u64), Keep})",
        "(action: enum {Pay {cents: u64}, Keep})",
        &[(STRANDS, false, "variant `action::Pay`: was `u64`, is `{..}`")],
    ),
    (
        "a tuple becomes longer",
        "(place: (u8, u8))",
        "(place: (u8, u8, u8))",
        &[(STRANDS, false, "was `[u8; 2]`, is `[u8; 3]`")],
    ),
    (
        "an array becomes a list",
        "(key: [u8; 32])",
        "(key: Vec<u8>)",
        &[(COMPATIBLE, true, "read by name")],
    ),
    (
        "a list becomes an array",
        "(key: Vec<u8>)",
        "(key: [u8; 32])",
        &[(COMPATIBLE, true, "lists of another length wait")],
    ),
    (
        "a list becomes bytes",
        "(key: Vec<u8>)",
        "(key: bytes)",
        &[(COMPATIBLE, true, "read by name")],
    ),
    (
        "a tuple becomes a struct",
        "(place: (u8, String))",
        "(place: {floor: u8, room: String})",
        &[(STRANDS, false, "was `(u8, String)`, is `{..}`")],
    ),
    (
        "a recursive type gets a field",
        "(list: #1 {value: u8, next: Option<#1>})",
        "(list: #1 {value: u8, next: Option<#1>, note: String})",
        &[(ATTRIBUTE, true, "field `list.note` is new")],
    ),
    (
        "several edits at once",
        "(id: u64, from: u8, to: u8, price: {cents: u32})",
        "(id: u64, to: u8, from: u8, price: {cents: String})",
        &[
            (MEANING, true, "`from, to`"),
            (STRANDS, false, "field `price.cents`: was `u32`, is `String`"),
        ],
    ),
];

#[test]
fn each_edit_has_its_class_and_its_advice() {
    assert!(EDITS.len() >= 30);
    for (name, before, after, expected) in EDITS {
        let file = first(&program([("shop/send", task(before))]));
        let found = findings(&file, &program([("shop/send", task(after))]));
        assert_found(name, &found, expected);
    }
}

#[test]
fn a_write_takes_what_was_confirmed_and_leaves_the_rest() {
    for (name, before, after, expected) in EDITS {
        let file = first(&program([("shop/send", task(before))]));
        let now = program([("shop/send", task(after))]);
        let takes_all = expected.iter().all(|(_, is_written, _)| *is_written);
        let outcome = run(Some(&file.to_string()), &now, true).unwrap();
        assert_eq!(outcome.passes, takes_all, "{name}: {}", outcome.said);
        assert_eq!(outcome.text.is_some(), takes_all && before != after, "{name}");
        let Some(text) = outcome.text else { continue };
        let outcome = run(Some(&text), &now, false).unwrap();
        assert!(outcome.passes, "{name}: the older schema is accepted: {}", outcome.said);
        assert!(text.contains(&format!("accepts {}", schema(before).shape())), "{name}: {text}");
    }
}

#[test]
fn what_was_pasted_is_the_fix() {
    let (before, after) = ("(user: u64, note: String)", "(user_id: u64, reply: bool)");
    let file = first(&program([("shop/send", task(before))]));
    const RENAMED: Parameter = Parameter { aliases: &["user"], ..Parameter::new("user_id") };
    const DEFAULT: Parameter = Parameter { has_default: true, ..Parameter::new("reply") };
    const REPLY: Parameter = Parameter::new("reply");
    const USER: Parameter = Parameter::new("user_id");
    let with = |parameters: &'static [Parameter], ignores: &'static [&'static str]| {
        let mut fixed = task(after);
        fixed.read_by.function = Reader { parameters, ignores, ..fixed.read_by.function };
        findings(&file, &program([("shop/send", fixed)]))
    };
    let found = with(&[RENAMED, DEFAULT], &["note"]);
    assert_found("all three", &found, &[(COMPATIBLE, true, "parameter `reply` is new")]);
    for (name, found) in [
        ("alias", with(&[USER, DEFAULT], &["note"])),
        ("default", with(&[RENAMED, REPLY], &["note"])),
        ("ignores", with(&[RENAMED, DEFAULT], &[])),
    ] {
        assert!(found.iter().any(|finding| !finding.is_written), "{name}: {found:#?}");
    }
}

/// `timeout` and `timeout_ms` are much alike, and may be seconds and milliseconds.
#[test]
fn a_name_that_is_alike_is_no_reason_to_paste_an_alias_where_the_meaning_is_new() {
    let file = first(&program([("shop/send", task("(timeout: u64)"))]));
    let found = findings(&file, &program([("shop/send", task("(timeout_ms: u64)"))]));
    let expected = "If it means something else, such as another unit, tasks that wait would be \
                    misread: convert them with `upgrade = ..`";
    assert_found("a unit", &found, &[(ATTRIBUTE, false, expected)]);
}

#[test]
fn an_upgrade_takes_what_names_cannot_say() {
    let file = first(&program([("shop/send", task("(cents: u32)"))]));
    let mut upgraded = task("(price: String)");
    upgraded.read_by.upgrades =
        vec![("from_euros", None), ("v1::from_cents", Some(schema("(cents: u64)")))];
    let expected = [(COMPATIBLE, true, "converted by the upgrade `v1::from_cents`")];
    assert_found(
        "by name",
        &findings(&file, &program([("shop/send", upgraded.clone())])),
        &expected,
    );
    upgraded.read_by.upgrades =
        vec![("v1::from_cents", Some(schema("(cents: u32, note: String)")))];
    let found = findings(&file, &program([("shop/send", upgraded.clone())]));
    let of_upgrade =
        |finding: &Finding| finding.text.starts_with("upgrade `v1::from_cents`: field");
    assert!(found.iter().any(of_upgrade), "{found:#?}");
    upgraded.read_by.upgrades = vec![("v1::from_cents", Some(schema("(cents: bool)")))];
    let found = findings(&file, &program([("shop/send", upgraded)]));
    assert!(found.iter().all(|finding| !finding.is_written), "{found:#?}");
}

#[test]
fn an_older_schema_is_accepted_until_it_is_deleted() {
    let (old, mid) = ("(id: u64, note: String)", "(id: u64, note: Option<String>)");
    let file = first(&program([("shop/send", task(old))]));
    let file = written(&file, &program([("shop/send", task(mid))]));
    let now = program([("shop/send", task("(id: u64, note: Option<bool>)"))]);
    let expected = [
        (STRANDS, false, "was `Option<String>`, is `Option<bool>`"),
        (
            STRANDS,
            false,
            "which tasks may wait under, is not accepted: parameter `note`: was `String`",
        ),
    ];
    assert_found("both", &findings(&file, &now), &expected);

    let mut file = file;
    file.entries.get_mut("shop/send").unwrap().older.clear();
    assert_eq!(findings(&file, &now).len(), 1);
    file.entries.clear();
    assert_found("none", &findings(&file, &now), &[(COMPATIBLE, true, "a new task")]);
}
