//! Schemas and payloads that anybody may have written.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::shown::shown;
use super::*;
use crate::payload::schema::node::{Leaf, Member};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    lines: Vec<Line>,
    address: Option<Box<Within<String>>>,
    state: Variant<i32>,
    labels: BTreeMap<u16, Option<char>>,
    parent: Option<Box<Order>>,
    bytes: uuid::Uuid,
    units: Vec<()>,
    rate: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    article: String,
    count: (u8, u32, [bool; 2]),
}

/// Some of what [`Order`] has, in another order and as other types.
#[derive(Debug, Serialize, Deserialize)]
struct OtherOrder {
    units: Vec<()>,
    #[serde(default)]
    rate: Option<f64>,
    state: Variant<u8>,
    lines: Vec<Line>,
    #[serde(default)]
    parent: Option<Box<OtherOrder>>,
    labels: BTreeMap<String, Option<String>>,
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    id: i8,
}

fn orders() -> impl Strategy<Value = Order> {
    let line = (".{0,4}", any::<(u8, u32, [bool; 2])>())
        .prop_map(|(article, count)| Line { article, count });
    let state = any::<i32>().prop_map(|it| match it % 4 {
        0 => Variant::Other,
        1 => Variant::One(it),
        2 => Variant::Two(1, it),
        _ => Variant::Named { it, after: Some(it > 0) },
    });
    let parts = (any::<u64>(), prop::collection::vec(line, 0..4), any::<Option<u8>>(), state);
    let more = (any::<BTreeMap<u16, Option<char>>>(), any::<[u8; 16]>(), 0..5_usize, any::<f64>());
    (parts, more, 0..3_u8).prop_map(|(parts, more, parents)| {
        let (id, lines, before, state) = parts;
        let (labels, bytes, units, rate) = more;
        let within = |before| Within { before, it: "it".to_owned(), after: String::new() };
        let mut order = Order {
            id,
            lines,
            address: before.map(|before| within(before).into()),
            state,
            labels,
            parent: None,
            bytes: uuid::Uuid::from_bytes(bytes),
            units: vec![(); units],
            rate,
        };
        for _ in 0..parents {
            order = Order { parent: Some(order.clone().into()), ..order };
        }
        order
    })
}

static ORDER: LazyLock<Schema> = LazyLock::new(schema::<Order>);
static OTHER: LazyLock<Schema> = LazyLock::new(schema::<OtherOrder>);

fn edited(mut bytes: Vec<u8>, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    for (at, byte, edit) in edits {
        let at = at % (bytes.len() + 1);
        match edit {
            0 => bytes.insert(at, *byte),
            1 if at < bytes.len() => _ = bytes.remove(at),
            2 if at < bytes.len() => bytes[at] = *byte,
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    // Small bytes are tags, counts and small numbers.
    let byte = prop_oneof![0..26_u8, any::<u8>()];
    prop::collection::vec((any::<usize>(), byte, 0..8_u8), 0..4)
}

const IGNORES: &[&str] = &["p.address", "p.parent.address", "p.lines.note", "q"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn whatever_was_written_is_a_value_or_an_error(
        order in orders(), schema_edits in edits(), payload_edits in edits(),
    ) {
        let written = ORDER.as_bytes().to_vec();
        let bytes = edited(encoded(&order), &payload_edits);
        let Ok(writer) = Schema::from_bytes(&edited(written, &schema_edits)) else { return Ok(()) };
        let writer = Arc::new(writer);
        let begin = Instant::now();
        let _ = shown(&writer, &bytes);
        fn through<A: DeserializeOwned>(
            (schema, ignores): (&Schema, &[&str]), writer: &Arc<Schema>, bytes: &[u8],
        ) {
            let reader = Reader { schema, parameters: &[PLAIN], ignores };
            let Ok(pair) = Resolution::between(writer.clone(), &reader) else { return };
            let _ = read::<A>(&pair, bytes);
            if let Ok(mut decoder) = Decoder::resolved(&pair, bytes) {
                let _ = decoder.end();
            }
        }
        through::<Order>((&ORDER, &[]), &writer, &bytes);
        through::<OtherOrder>((&OTHER, IGNORES), &writer, &bytes);
        prop_assert!(begin.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn what_is_passed_over_is_exactly_what_was_written(order in orders(), at in any::<usize>()) {
        let (bytes, ignores) = (encoded(&order), Ignores::new(&[]));
        prop_assert!(Parameters::new(&ORDER, &ignores, &bytes).end().is_ok());
        prop_assert!(shown(&ORDER, &bytes).is_ok());
        let len = at % bytes.len();
        prop_assert!(Parameters::new(&ORDER, &ignores, &bytes[..len]).end().is_err());
        prop_assert!(shown(&ORDER, &bytes[..len]).is_err());
    }

    #[test]
    fn a_value_of_the_own_schema_is_read_by_name_too(order in orders()) {
        let pair = between(ORDER.clone(), &ORDER).unwrap();
        let read = read::<Order>(&pair, &encoded(&order));
        let is_nan = order.rate.is_nan();
        prop_assert!(is_nan || read.as_ref() == Ok(&order), "{read:?}");
    }
}

fn schema_of(nodes: &[Node], root: u32) -> Schema {
    Schema::from_bytes(Schema::new(nodes, &[Member::new("p", root)]).unwrap().as_bytes()).unwrap()
}

fn between(writer: Schema, reader: &Schema) -> Result<Resolution, Difference> {
    let reader = Reader { schema: reader, parameters: &[PLAIN], ignores: &[] };
    Resolution::between(Arc::new(writer), &reader)
}

#[test]
fn a_huge_length_costs_nothing() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0x7f];
    for (bytes, words) in [
        (outcome_of::<Vec<()>>(&huge), "too many values that take no bytes"),
        (outcome_of::<Vec<u64>>(&huge), "ends early"),
        (outcome_of::<Vec<[(); 3]>>(&huge), "too many values that take no bytes"),
        (outcome_of::<BTreeMap<(), ()>>(&huge), "too many values that take no bytes"),
        (outcome_of::<BTreeMap<u8, ()>>(&huge), "ends early"),
        (outcome_of::<String>(&huge), "ends early"),
        (outcome_of::<uuid::Uuid>(&huge), "ends early"),
    ] {
        let error = bytes.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let many = encoded(&vec![(); 1000]);
    assert_eq!(
        read::<Vec<()>>(&resolution::<Vec<()>, Vec<()>>(&[]).unwrap(), &many).map(|v| v.len()),
        Ok(1000)
    );
}

fn outcome_of<T: DeserializeOwned>(bytes: &[u8]) -> Result<(), UnreadableError> {
    let pair = resolution::<T, T>(&[]).unwrap();
    shown(pair.writer(), bytes).unwrap_err();
    let mut skipped = Decoder::resolved(&pair, bytes)?;
    skipped.end().unwrap_err();
    read::<T>(&pair, bytes).map(drop)
}

/// Elements without bytes into elements with room: five bytes must not make gigabytes.
#[test]
fn elements_without_bytes_make_few_values() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Nothing {}
    #[derive(Debug, Serialize, Deserialize)]
    struct Large {
        #[serde(default)]
        large: [u64; 16],
    }
    let pair = resolution::<Vec<Nothing>, Vec<Large>>(&[]).unwrap();
    let read = |len| read::<Vec<Large>>(&pair, &encoded(&len));
    assert_eq!(read(1000_u64).map(|large| large.len()), Ok(1000));
    assert!(read(100_000).unwrap_err().to_string().contains("take no bytes"));
}

#[derive(Debug, Serialize, Deserialize)]
struct Chain {
    next: Option<Box<Chain>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Longer {
    next: Option<Box<Longer>>,
    #[serde(default)]
    more: u8,
}

#[test]
fn depth_is_bounded() {
    let pair = resolution::<Chain, Longer>(&[]).unwrap();
    let read = |depth: usize| read::<Longer>(&pair, &[vec![1; depth], vec![0]].concat()).map(drop);
    assert_eq!(read(40), Ok(()));
    assert!(read(1_000_000).unwrap_err().to_string().contains("deeper than 128 levels"));
    let mut passed_over = vec![1; 1_000_000];
    passed_over.push(0);
    assert_eq!(Decoder::resolved(&pair, &passed_over).unwrap().end(), Ok(()));
}

/// A `char` is written as a text: one of no or two characters is no `char`, whatever reads it.
#[test]
fn a_text_of_other_than_one_character_is_no_char() {
    let pair = resolution::<char, String>(&[]).unwrap();
    assert_eq!(read::<String>(&pair, b"\x01a").as_deref(), Ok("a"));
    for bytes in [&b"\x00"[..], b"\x02ab", b"\x01\xff"] {
        let error = read::<String>(&pair, bytes).unwrap_err().to_string();
        assert!(error.contains("is not what its schema says"), "{error}");
        assert!(shown(pair.writer(), bytes).is_err());
    }
}

/// A type that holds itself in options alone has no value that is no option.
#[test]
fn a_value_that_is_no_option_is_not_read_as_endless_options() {
    let endless = |leaf| schema_of(&[Node::Option(0), Node::Leaf(leaf)], 0);
    let plain = schema_of(&[Node::Leaf(Leaf::U8)], 0);
    assert!(between(plain.clone(), &endless(Leaf::U8)).is_err());
    assert!(between(endless(Leaf::U8), &plain).is_err());
    assert!(between(endless(Leaf::U8), &endless(Leaf::U8)).is_ok());

    #[derive(Debug, Serialize, Deserialize)]
    struct Endless(Option<Box<Endless>>);
    let pair = resolution::<Endless, Endless>(&[]).unwrap();
    let options = |depth: usize| read::<Endless>(&pair, &[vec![1; depth], vec![0]].concat());
    assert!(options(100).is_ok());
    assert!(options(100_000).unwrap_err().to_string().contains("deeper than 128 levels"));
}

/// Each struct holds the one below it twice: 2^60 values of no bytes.
#[test]
fn doubled_structs_end() {
    let tower = |leaf: Leaf| {
        let level =
            |at: u32| Node::Struct(vec![Member::new("a", at + 1), Member::new("b", at + 1)]);
        let nodes: Vec<_> = (0..60).map(level).chain([Node::Leaf(leaf)]).collect();
        schema_of(&nodes, 0)
    };
    let begin = Instant::now();
    assert!(between(tower(Leaf::U8), &tower(Leaf::U16)).is_ok());
    assert!(between(tower(Leaf::U8), &tower(Leaf::Bool)).is_err());
    let error = shown(&tower(Leaf::Unit), &[]).unwrap_err().to_string();
    assert!(error.contains("take no bytes"), "{error}");
    let pair = between(tower(Leaf::Unit), &tower(Leaf::Unit)).unwrap();
    assert_eq!(Decoder::resolved(&pair, &[]).unwrap().end(), Ok(()));
    assert!(shown(&tower(Leaf::U8), &[0; 100]).is_err());
    assert!(begin.elapsed() < Duration::from_secs(2));
}

/// Enums whose variants hold each other: every part of one meets every part of the other.
#[test]
fn comparing_ends_though_schemas_are_large() {
    let knot = |count: u32, salt: &str| {
        let node = |at: u32| {
            let variant = |to: u32| Member::new(format!("{to:x}"), (at + to) % count);
            let own = Member::new(format!("{salt}{at}"), at);
            Node::Enum((0..count).map(variant).chain([own]).collect())
        };
        let nodes: Vec<_> = (0..count).map(node).collect();
        Schema::new(&nodes, &[Member::new("p", 0)]).unwrap()
    };
    let begin = Instant::now();
    assert!(between(knot(60, "one"), &knot(60, "other")).is_ok());
    let words = between(knot(100, "one"), &knot(97, "other")).unwrap_err().to_string();
    assert_eq!(words, "the schemas are too large to be compared");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}
