//! What payloads look like, and payloads and schemas that anybody may have written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::payload::Tracer;
use crate::payload::schema::node::{Leaf, Member, Node};
use crate::payload::schema::tests::schemas;

fn schema<T: DeserializeOwned>() -> Schema {
    Tracer::schema(|tracer| tracer.parameter::<T>("p")).unwrap()
}

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap()
}

/// Shows one parameter, without its name.
fn hiding<T: Serialize + DeserializeOwned>(value: &T, sensitive: &[&str]) -> String {
    let json = as_json(&schema::<T>(), &bytes(value), sensitive).unwrap();
    json.strip_prefix("{\"p\":").and_then(|rest| rest.strip_suffix('}')).unwrap().to_owned()
}

fn shown<T: Serialize + DeserializeOwned>(value: &T) -> String {
    hiding(value, &[])
}

fn error(schema: &Schema, payload: &[u8]) -> String {
    as_json::<&str>(schema, payload, &[]).unwrap_err().to_string()
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Choice {
    None,
    Empty(),
    One(Option<u8>),
    Two(u8, String),
    Named { id: u8 },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Color {
    Red,
    Blue,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Card {
    #[serde(alias = "old_number")]
    number: String,
    owner: Option<Box<Card>>,
}

fn card(number: &str, owner: Option<Card>) -> Card {
    Card { number: number.to_owned(), owner: owner.map(Box::new) }
}

#[test]
fn parameters_are_an_object() {
    let traced = |tracer: &mut Tracer| {
        tracer.parameter::<u64>("user_id")?;
        tracer.parameter::<String>("template")
    };
    let schema = Tracer::schema(traced).unwrap();
    let payload = bytes(&(7_u64, "hi"));
    assert_eq!(
        as_json::<&str>(&schema, &payload, &[]).unwrap(),
        r#"{"user_id":7,"template":"hi"}"#
    );
    let none = Tracer::schema(|_| Ok(())).unwrap();
    assert_eq!(as_json::<&str>(&none, &[], &[]).unwrap(), "{}");
}

#[test]
fn values_without_parts_are_what_json_has() {
    assert_eq!(shown(&((), true, false, -3_i8, 300_u16)), "[null,true,false,-3,300]");
    assert_eq!(shown(&(i64::MIN, u64::MAX)), format!("[{},{}]", i64::MIN, u64::MAX));
    assert_eq!(shown(&(0.5_f64, 0.1_f32, 1e300, -0.0)), "[0.5,0.1,1e300,-0.0]");
    assert_eq!(shown(&('ü', "a".to_owned(), Some(1), None::<u8>)), r#"["ü","a",1,null]"#);
    assert_eq!(shown(&(vec![1_u8, 2], [3_u32; 2])), "[[1,2],[3,3]]");
    assert_eq!(shown(&Duration::from_millis(1500)), r#"{"secs":1,"nanos":500000000}"#);
}

#[test]
fn what_is_no_number_of_json_is_a_text() {
    assert_eq!(shown(&(f64::NAN, f32::INFINITY, f64::NEG_INFINITY)), r#"["NaN","inf","-inf"]"#);
    assert_eq!(shown(&(u128::from(u64::MAX), i128::from(i64::MIN))), shown(&(u64::MAX, i64::MIN)));
    assert_eq!(shown(&(u128::MAX, i128::MIN)), format!("[\"{}\",\"{}\"]", u128::MAX, i128::MIN));
}

#[test]
fn texts_are_escaped() {
    let text = "\"\\\n\r\t\0\u{1b}[31m\u{9b}\u{7f}/ü\u{1f600}";
    let expected = r#""\"\\\n\r\t\u0000\u001b[31m\u009b\u007f/ü😀""#;
    assert_eq!(shown(&text.to_owned()), expected);
    let map = BTreeMap::from([("a\"b\n".to_owned(), 1)]);
    assert_eq!(shown(&map), r#"{"a\"b\n":1}"#);
}

#[test]
fn bytes_are_hexadecimal_digits() {
    assert_eq!(shown(&bytes::Bytes::from_static(&[0, 15, 255])), r#""000fff""#);
}

#[test]
fn variants_are_tagged_by_their_names() {
    let all = vec![
        Choice::None,
        Choice::Empty(),
        Choice::One(Some(1)),
        Choice::One(None),
        Choice::Two(2, "b".to_owned()),
        Choice::Named { id: 3 },
    ];
    assert_eq!(
        shown(&all),
        r#"["None",{"Empty":[]},{"One":1},{"One":null},{"Two":[2,"b"]},{"Named":{"id":3}}]"#
    );
}

#[test]
fn a_map_is_an_object_where_its_keys_have_a_text() {
    assert_eq!(shown(&BTreeMap::from([(-1_i8, 'a'), (2, 'b')])), r#"{"-1":"a","2":"b"}"#);
    assert_eq!(shown(&BTreeMap::from([(true, ()), (false, ())])), r#"{"false":null,"true":null}"#);
    assert_eq!(shown(&BTreeMap::from([('x', 1), ('"', 2)])), r#"{"\"":2,"x":1}"#);
    assert_eq!(shown(&BTreeMap::from([(u128::MAX, 1)])), format!("{{\"{}\":1}}", u128::MAX));
    assert_eq!(shown(&BTreeMap::from([(Color::Blue, 1)])), r#"{"Blue":1}"#);
    assert_eq!(shown(&BTreeMap::from([((1, 2), 3), ((4, 5), 6)])), "[[[1,2],3],[[4,5],6]]");
    assert_eq!(shown(&BTreeMap::from([(Choice::None, 1)])), r#"[["None",1]]"#);
    assert_eq!(
        shown(&BTreeMap::from([(Some("a".to_owned()), 1), (None, 2)])),
        r#"[[null,2],["a",1]]"#
    );
    assert_eq!(shown(&BTreeMap::<String, u8>::new()), "{}");
    assert_eq!(shown(&BTreeSet::from([(1, 2)])), "[[1,2]]");
}

#[test]
fn a_member_of_several_names_is_shown_under_the_first() {
    let nodes = [Node::Leaf(Leaf::U8), Node::Enum(vec![names(&["New", "Old"], 0)])];
    let schema = Schema::new(&nodes, &[names(&["count", "number"], 1)]).unwrap();
    assert_eq!(as_json::<&str>(&schema, &[0, 7], &[]).unwrap(), r#"{"count":{"New":7}}"#);
}

fn names(names: &[&'static str], node: u32) -> Member {
    Member { names: names.iter().map(|name| (*name).into()).collect(), node }
}

#[test]
fn a_path_hides_what_it_names() {
    let of = |sensitive: &[&str]| hiding(&card("4111", Some(card("4222", None))), sensitive);
    assert_eq!(of(&["p"]), r#""(sensitive)""#);
    let inner = r#"{"number":"4111","owner":{"number":"(sensitive)","owner":null}}"#;
    assert_eq!(of(&["p.owner.number"]), inner);
    let both = of(&["p.number", "p.owner"]);
    assert_eq!(both, r#"{"number":"(sensitive)","owner":"(sensitive)"}"#);
    assert_eq!(of(&["number", "p.own", "p.owner.owner.number", "q"]), of(&[]));
    // An alias of a field is the field.
    let under_alias = of(&["p.old_number"]);
    assert!(under_alias.contains("4222") && !under_alias.contains("4111"), "{under_alias}");
}

#[test]
fn a_hidden_value_shows_neither_its_length_nor_whether_there_is_one() {
    let of = |value: &Option<Vec<u8>>| hiding(value, &["p"]);
    assert_eq!([of(&None), of(&Some(vec![1, 2, 3]))], [r#""(sensitive)""#; 2]);
}

#[test]
fn paths_pass_through_what_has_no_names() {
    let one = || card("4111", None);
    let hidden =
        |json: String| assert!(!json.contains("4111") && json.contains("(sensitive)"), "{json}");
    hidden(hiding(&vec![one()], &["p.number"]));
    hidden(hiding(&[one(), one()], &["p.number"]));
    hidden(hiding(&Some(one()), &["p.number"]));
    hidden(hiding(&(1, one()), &["p.number"]));
    hidden(hiding(&(1, one()), &["p.1.number"]));
    hidden(hiding(&BTreeMap::from([("a".to_owned(), one())]), &["p.number"]));
    hidden(hiding(&Ok::<_, u8>(one()), &["p.number"]));
    hidden(hiding(&Ok::<_, u8>(one()), &["p.Ok.number"]));
    hidden(hiding(&Ok::<_, u8>(one()), &["p.Ok"]));
    hidden(hiding(&vec![Ok::<_, u8>((2, Some(one())))], &["p.number"]));
}

#[test]
fn keys_are_hidden_with_their_map_or_by_a_path_into_them() {
    let map = BTreeMap::from([("4111".to_owned(), 1)]);
    assert_eq!(hiding(&map, &["p"]), r#""(sensitive)""#);
    #[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    struct Key {
        number: String,
        bank: u8,
    }
    let map = BTreeMap::from([(Key { number: "4111".to_owned(), bank: 2 }, 1)]);
    assert_eq!(hiding(&map, &["p.number"]), r#"[[{"number":"(sensitive)","bank":2},1]]"#);
}

#[test]
fn a_path_that_cannot_be_read_hides_everything() {
    assert_eq!(hiding(&card("4111", None), &[""]), r#""(sensitive)""#);
}

#[test]
fn names_with_dots_are_names() {
    #[derive(Serialize, Deserialize)]
    struct Dotted {
        #[serde(rename = "card.number")]
        number: u16,
    }
    assert_eq!(
        hiding(&Dotted { number: 4111 }, &["p.card.number"]),
        r#"{"card.number":"(sensitive)"}"#
    );
}

#[test]
fn it_is_known_whether_a_path_names_something() {
    let schema = schema::<Vec<Result<Card, (u8, Choice)>>>();
    for named in ["p", "p.number", "p.owner.owner.number", "p.old_number", "p.id", "p.Err.1.id"] {
        assert!(names_something(&schema, named), "{named}");
    }
    for other in ["q", "number", "p.nubmer", "p.number.x", "p.owner.owner.id", "p.Err.2", "p.2"] {
        assert!(!names_something(&schema, other), "{other}");
    }
}

#[test]
fn bytes_of_another_schema_are_an_error_at_a_path() {
    let of = schema::<Vec<Card>>();
    let payload = bytes(&vec![card("41", None), card("42", None)]);
    assert_eq!(error(&of, &payload[..payload.len() - 1]), "parameter `p[].owner` ends early");
    assert_eq!(error(&of, &[&payload[..], &[0]].concat()), "the payload has 1 bytes too many");
    assert_eq!(error(&schema::<bool>(), &[2]), "parameter `p` is not what its schema says");
    assert_eq!(error(&schema::<Choice>(), &[9]), "parameter `p` is not what its schema says");
    assert_eq!(error(&schema::<String>(), &[1, 255]), "parameter `p` is not what its schema says");
    assert_eq!(error(&schema::<String>(), &[200, 1, 1]), "parameter `p` ends early");
    // What is hidden is read all the same.
    let hidden = as_json(&schema::<bool>(), &[2], &["p"]).unwrap_err();
    assert_eq!(hidden.to_string(), "parameter `p` is not what its schema says");
}

#[test]
fn depth_is_bounded() {
    let nested = |cards: usize| (0..cards).fold(None, |owner, _| Some(card("1", owner))).unwrap();
    // A card and the option around the next.
    assert!(shown(&nested(64)).len() > 64);
    let text = error(&schema::<Card>(), &bytes(&nested(5_000)));
    assert!(text.ends_with("nests deeper than 128 levels") && text.len() < 400, "{text}");
    assert_eq!(hiding(&nested(64), &["p.owner"]), r#"{"number":"1","owner":"(sensitive)"}"#);
}

#[test]
fn a_few_bytes_do_not_become_much_json() {
    let begun = Instant::now();
    let huge = [255, 255, 255, 255, 15];
    for of in [schema::<Vec<()>>(), schema::<Vec<[(); 5]>>(), schema::<BTreeMap<(), ()>>()] {
        assert!(error(&of, &huge).contains("too many values that take no bytes"));
        assert!(as_json(&of, &huge, &["p"]).is_err());
    }
    assert_eq!(shown(&vec![(); 100]).len(), 501);
    // Four billion values without bytes, as the schema says.
    let nodes = [Node::Leaf(Leaf::Unit), Node::Array(u32::MAX, 0)];
    let of = Schema::new(&nodes, &[names(&["p"], 1)]).unwrap();
    assert!(error(&of, &[]).contains("too many values"));
    // A struct of a byte with a name of 50 KB.
    let name: &'static str = Box::leak("x".repeat(50_000).into_boxed_str());
    let nodes = [Node::Leaf(Leaf::U8), Node::Struct(vec![names(&[name], 0)]), Node::Seq(1)];
    let of = Schema::new(&nodes, &[names(&["p"], 2)]).unwrap();
    let text = error(&of, &bytes(&vec![1_u8; 100_000]));
    assert!(text.contains("is too much as JSON") && text.len() < 1_000, "{text}");
    assert!(as_json::<&str>(&of, &[1, 1], &[]).is_ok());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

proptest! {
    #[test]
    fn any_bytes_under_any_schema_are_shown_or_refused(
        of in schemas(),
        payload in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for sensitive in [&[][..], &["a"], &[""]] {
            if let Ok(json) = as_json(&of, &payload, sensitive) {
                let most = SPARE + SPARE_OF_BYTE * payload.len() + of.as_bytes().len();
                let is_object = json.starts_with('{');
                prop_assert!(is_object && json.len() <= most);
            }
        }
    }

    #[test]
    fn any_bytes_are_shown_or_refused(payload in prop::collection::vec(any::<u8>(), 0..60)) {
        type Parts = (Vec<Choice>, BTreeMap<u8, Option<Card>>, Vec<()>, BTreeMap<String, f64>);
        let of = schema::<Parts>();
        for sensitive in [&[][..], &["p.number", "p.id"]] {
            if let Ok(json) = as_json(&of, &payload, sensitive) {
                prop_assert!(json.len() <= SPARE + SPARE_OF_BYTE * payload.len());
            }
        }
    }
}
