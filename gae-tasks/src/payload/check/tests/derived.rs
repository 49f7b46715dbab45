//! No false alarm on derived types and what serde's attributes make of them.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Deserializer, Serializer};

use super::*;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: u64,
    lines: Vec<Line>,
    address: Option<Address>,
    state: State,
    #[serde(default)]
    labels: HashMap<String, Label>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    article: Article,
    count: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Article(String);

#[derive(Clone, Serialize, Deserialize)]
struct Address {
    street: String,
    zip: (u32, char),
}

#[derive(Clone, Serialize, Deserialize)]
enum State {
    Open,
    Paid(u64),
    Sent { at: u64, by: Article },
    Moved(u8, String),
    Held(Address),
    Nothing(),
    Fieldless {},
    Pair((u8, u8)),
}

#[derive(Clone, Serialize, Deserialize)]
struct Label;

#[derive(Clone, Serialize, Deserialize)]
struct Fieldless {}

#[derive(Clone, Serialize, Deserialize)]
struct Elementless();

fn text(text: &str) -> String {
    text.to_owned()
}

fn address() -> Address {
    Address { street: text("Long Lane 1"), zip: (12345, 'b') }
}

#[test]
fn nested_ones() {
    let order = |state: State| Order {
        id: 1,
        lines: vec![Line { article: Article(text("nail")), count: 300 }],
        address: Some(address()),
        state,
        labels: HashMap::from([(text("a"), Label)]),
    };
    let bare = Order { lines: vec![], address: None, labels: HashMap::new(), ..order(State::Open) };
    fine! {
        order(State::Open); order(State::Paid(1 << 40)); order(State::Moved(1, text("up")));
        order(State::Sent { at: 1, by: Article(text("us")) }); order(State::Held(address()));
        order(State::Nothing()); order(State::Fieldless {}); order(State::Pair((1, 2)));
        Article(text("a")); Label; Fieldless {}; Elementless(); (State::Open, 1_u8);
        vec![Label, Label]; vec![Fieldless {}]; BTreeMap::from([(1_u8, bare.clone())]); bare;
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Renamed {
    first_name: String,
    #[serde(rename = "n")]
    number: u8,
    #[serde(alias = "colour", alias = "a tint")]
    color: u8,
    #[serde(default, alias = "z")]
    last: u8,
    #[serde(rename(serialize = "out", deserialize = "in"), alias = "out")]
    both: u8,
}

#[derive(Serialize, Deserialize)]
enum Aliased {
    #[serde(alias = "First")]
    One(u8),
    #[serde(alias = "Second", rename = "2nd")]
    Two,
    #[serde(rename(serialize = "drei"), alias = "drei")]
    Three,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Skipping {
    a: u8,
    #[serde(skip)]
    b: u8,
    #[serde(skip_serializing, skip_deserializing)]
    c: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    filled: Option<u8>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    unread: Option<u8>,
    d: u8,
}

#[derive(Serialize, Deserialize)]
enum SkippingVariants {
    A(u8, #[serde(skip)] u16),
    B(#[serde(skip)] u8),
    C {
        #[serde(skip)]
        a: u8,
        b: u8,
    },
    D,
    #[allow(dead_code)]
    #[serde(skip)]
    E,
}

#[derive(Serialize, Deserialize)]
enum WithOther {
    A,
    #[serde(other)]
    B,
}

#[test]
fn names_that_are_read_too_and_fields_that_neither_half_has() {
    fine! {
        Renamed { first_name: text("a"), number: 1, color: 2, last: 3, both: 4 };
        Aliased::One(1); Aliased::Two; Aliased::Three;
        Skipping { a: 1, b: 0, c: 0, filled: Some(1), unread: None, d: 2 };
        SkippingVariants::A(1, 0); SkippingVariants::B(0); SkippingVariants::C { a: 0, b: 1 };
        SkippingVariants::D; WithOther::A; WithOther::B;
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent {
    inner: Vec<u8>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "u16", from = "u16")]
struct Converted(u64);

impl From<u16> for Converted {
    fn from(value: u16) -> Self {
        Self(value.into())
    }
}

impl From<Converted> for u16 {
    fn from(value: Converted) -> Self {
        value.0 as Self
    }
}

#[derive(Serialize, Deserialize)]
struct With {
    #[serde(with = "digits")]
    digits: u64,
    #[serde(deserialize_with = "wide", serialize_with = "narrow")]
    widened: u64,
    converted: Vec<Converted>,
    #[serde(serialize_with = "letter")]
    letter: String,
    #[serde(serialize_with = "bytes")]
    bytes: Vec<u8>,
}

mod digits {
    use super::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

fn narrow<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(*value as u16)
}

fn wide<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    u32::deserialize(from).map(u64::from)
}

fn letter<S: Serializer>(value: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_char(value.chars().next().unwrap_or('-'))
}

fn bytes<S: Serializer>(value: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(value)
}

#[test]
fn types_that_are_written_as_others() {
    fine! {
        Transparent { inner: vec![1, 2] }; Converted(5);
        With {
            digits: u64::MAX, widened: 700, converted: vec![Converted(300)], letter: text("é"),
            bytes: vec![1, 2, 3],
        };
    }
}

#[derive(Serialize, Deserialize)]
struct List {
    value: u8,
    next: Option<Box<List>>,
}

#[derive(Serialize, Deserialize)]
struct Tree(Vec<Tree>);

#[derive(Clone, Serialize, Deserialize, Debug)]
pub(super) enum Expression {
    Sum(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Number(i64),
    Call { name: String, args: Vec<Expression>, by: BTreeMap<String, Expression> },
}

#[test]
fn recursive_ones() {
    let list = |next| List { value: 1, next };
    let one = Expression::Number(-5);
    fine! {
        list(Some(Box::new(list(None)))); Tree(vec![Tree(vec![]), Tree(vec![Tree(vec![])])]);
        Expression::Not(Box::new(Expression::Sum(Box::new(one.clone()), Box::new(one.clone()))));
        Expression::Call {
            name: text("f"), args: vec![one.clone()], by: BTreeMap::from([(text("x"), one)]),
        };
    }
}
