//! Derived types, with what serde's attributes make of them.

#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
pub(super) struct Order {
    id: u64,
    lines: Vec<Line>,
    address: Option<Address>,
    state: State,
    #[serde(default)]
    labels: HashMap<String, Label>,
}

#[derive(Deserialize)]
struct Line {
    article: Article,
    count: u32,
}

#[derive(Deserialize)]
struct Article(String);

#[derive(Deserialize)]
struct Address {
    street: String,
    zip: (u32, char),
}

#[derive(Deserialize)]
enum State {
    Open,
    Paid(u64),
    Sent { at: u64, by: Article },
    Moved(u8, String),
    Held(Address),
}

#[derive(Deserialize)]
struct Label;

#[derive(Deserialize)]
struct Pair<A, B> {
    a: A,
    b: B,
}

#[derive(Deserialize)]
enum Never {}

#[derive(Deserialize)]
struct Fieldless {}

#[derive(Deserialize)]
enum One {
    Only,
}

#[test]
fn nested_ones() {
    table! {
        Order => "{id: u64, lines: Vec<{article: String, count: u32}>, \
            address: Option<#1 {street: String, zip: (u32, char)}>, \
            state: enum {Open, Paid(u64), Sent {at: u64, by: String}, Moved(u8, String), \
            Held(#1)}, labels: Map<String, ()>}";
        Article => "String";
        Label => "()";
        Never => "enum {}";
        Fieldless => "{}";
        One => "enum {Only}";
        (State, u8) => "(enum {Open, Paid(u64), Sent {at: u64, by: String}, Moved(u8, String), \
            Held {street: String, zip: (u32, char)}}, u8)";
        (Fieldless, One, u8) => "({}, enum {Only}, u8)";
        Pair<u8, Pair<u8, String>> => "{a: u8, b: {a: u8, b: String}}";
        Pair<Option<Pair<u8, u8>>, Vec<Pair<u8, u8>>> =>
            "{a: Option<#1 {a: u8, b: u8}>, b: Vec<#1>}";
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Renamed {
    first_name: String,
    #[serde(rename = "n")]
    number: u8,
    #[serde(alias = "colour", alias = "a tint")]
    color: u8,
    #[serde(default, alias = "z")]
    last: u8,
}

#[derive(Deserialize)]
struct OneAlias {
    #[serde(alias = "old")]
    new: u8,
}

#[derive(Deserialize)]
enum Aliased {
    #[serde(alias = "First")]
    One(u8),
    #[serde(alias = "Second", rename = "2nd")]
    Two,
    Three,
}

#[derive(Deserialize)]
enum AliasedOne {
    #[serde(alias = "Old")]
    New,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denying {
    #[serde(alias = "c")]
    a: u8,
    b: u8,
}

#[derive(Deserialize)]
struct Skipping {
    a: u8,
    #[serde(skip)]
    b: u8,
    #[serde(skip_deserializing)]
    c: u8,
    d: u8,
}

#[derive(Deserialize)]
enum SkippingVariants {
    A(u8),
    #[serde(skip)]
    B,
    C(u16),
    #[serde(other)]
    D,
}

#[test]
fn names_are_those_that_are_read() {
    table! {
        Renamed => "{firstName: String, n: u8, \"a tint\"|color|colour: u8, last|z: u8}";
        OneAlias => "{new|old: u8}";
        Denying => "{a|c: u8, b: u8}";
        Aliased => "enum {First|One(u8), 2nd|Second, Three}";
        AliasedOne => "enum {New|Old}";
        Skipping => "{a: u8, d: u8}";
        SkippingVariants => "enum {A(u8), C(u16), D}";
        (Aliased, Renamed, u8) => "(enum {First|One(u8), 2nd|Second, Three}, \
            {firstName: String, n: u8, \"a tint\"|color|colour: u8, last|z: u8}, u8)";
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Transparent {
    inner: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(from = "u16")]
struct From(u64);

impl std::convert::From<u16> for From {
    fn from(value: u16) -> Self {
        Self(value.into())
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Strict(String);

impl TryFrom<String> for Strict {
    type Error = &'static str;

    fn try_from(_: String) -> Result<Self, Self::Error> {
        Err("refused")
    }
}

#[derive(Deserialize)]
struct With {
    #[serde(deserialize_with = "seconds")]
    at: String,
    #[serde(default, with = "digits")]
    digits: u64,
    strict: Strict,
    after: u8,
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    i64::deserialize(deserializer).map(|seconds| seconds.to_string())
}

mod digits {
    use serde::Deserialize as _;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[test]
fn types_that_read_as_others_are_those() {
    table! {
        Transparent => "Vec<u8>";
        From => "u16";
        Strict => "String";
        With => "{at: i64, digits: String, strict: String, after: u8}";
        Vec<With> => "Vec<{at: i64, digits: String, strict: String, after: u8}>";
        BTreeMap<u8, Strict> => "Map<u8, String>";
    }
}

#[derive(Deserialize)]
pub(super) struct List {
    value: u8,
    next: Option<Box<List>>,
}

#[derive(Deserialize)]
struct Tree(Vec<Tree>);

#[derive(Deserialize)]
struct TreeAndMore(Vec<TreeAndMore>, u8);

#[derive(Deserialize)]
pub(super) enum Expression {
    Sum(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Number(i64),
    Call { name: String, args: Vec<Expression>, by: BTreeMap<String, Expression> },
}

#[derive(Deserialize)]
struct Folder {
    files: Vec<File>,
}

#[derive(Deserialize)]
enum File {
    Plain(String),
    Nested(Folder),
}

/// As [`List`], unrolled once.
#[derive(Deserialize)]
struct Unrolled {
    value: u8,
    next: Option<List>,
}

#[test]
fn recursive_ones() {
    table! {
        List => "#1 {value: u8, next: Option<#1>}";
        Unrolled => "#1 {value: u8, next: Option<#1>}";
        Tree => "#1 Vec<#1>";
        TreeAndMore => "#1 (Vec<#1>, u8)";
        Expression => "#1 enum {Sum([#1; 2]), Not(#1), Number(i64), \
            Call {name: String, args: Vec<#1>, by: Map<String, #1>}}";
        Folder => "#1 {files: Vec<enum {Plain(String), Nested(#1)}>}";
        File => "#1 enum {Plain(String), Nested {files: Vec<#1>}}";
        (Folder, File) => "(#1 {files: Vec<#2 enum {Plain(String), Nested(#1)}>}, #2)";
    }
}

#[test]
fn types_of_one_name_are_told_apart() {
    let first = {
        #[derive(Deserialize)]
        struct Local {
            a: u8,
        }
        text::<(Option<Local>, u8)>()
    };
    fn both() -> String {
        fn one() -> impl Fn() -> String {
            #[derive(Deserialize)]
            struct Local {
                a: u16,
            }
            text::<Vec<Local>>
        }
        one()()
    }
    #[derive(Deserialize)]
    struct Two<A, B>(A, B);
    let pair = {
        #[derive(Deserialize)]
        struct Local {
            same: u8,
        }
        type A = Local;
        {
            #[derive(Deserialize)]
            struct Local {
                same: u16,
            }
            text::<Two<A, Local>>()
        }
    };
    assert_eq!(first, "(Option<{a: u8}>, u8)");
    assert_eq!(both(), "Vec<{a: u16}>");
    assert_eq!(pair, "({same: u8}, {same: u16})");
}

#[derive(Deserialize)]
enum Five<T> {
    A(T),
    B(T),
    C { x: T },
    D(Option<T>),
    E,
}

#[test]
fn enums_within_enums_take_no_product_of_runs() {
    let text = text::<Five<Five<Five<Five<Five<Five<Five<u8>>>>>>>>();
    assert_eq!(text.matches("enum").count(), 7, "{text}");
}
