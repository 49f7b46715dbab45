//! Structs, newtypes, generics and recursion.

use std::collections::BTreeMap;

use super::*;

fn s(text: &str) -> String {
    text.to_owned()
}

pairs! {
    mod swapped:
        struct Before { from: u64, to: u64 } => struct After { to: u64, from: u64 }
        Before { from: 1, to: 2 } => Is(After { from: 1, to: 2 });
    mod swapped_of_other_types:
        struct Before { id: u64, name: String, ok: bool } =>
            struct After { ok: bool, name: String, id: u64 }
        Before { id: 1, name: s("a"), ok: true } => Is(After { id: 1, name: s("a"), ok: true });
    mod renamed:
        struct Before { a: u8, b: u8 } => struct After { a: u8, c: u8 }
        Before { a: 1, b: 2 } =>
            Waits::<After>("b` is not known here: add `#[serde(alias = \"b\")]`");
    mod renamed_with_alias:
        struct Before { a: u8, b: u8 } => struct After { a: u8, #[serde(alias = "b")] c: u8 }
        Before { a: 1, b: 2 } => Is(After { a: 1, c: 2 });
    mod renamed_with_attribute:
        struct Before { a: u8 } => struct After { #[serde(rename = "a")] b: u8 }
        Before { a: 1 } => Same(After { b: 1 });
    mod alias_dropped:
        struct Before { a: u8, #[serde(alias = "b")] c: u8 } => struct After { a: u8, c: u8 }
        Before { a: 1, c: 2 } => Is(After { a: 1, c: 2 });
    mod added:
        struct Before { a: u8 } => struct After { a: u8, b: u8 }
        Before { a: 1 } =>
            Fails::<After>("b` is missing from the stored payload: add `#[serde(default)]`");
    mod added_with_default:
        struct Before { a: u8 } => struct After { a: u8, #[serde(default)] b: u8 }
        Before { a: 1 } => Is(After { a: 1, b: 0 });
    mod added_in_front_with_default:
        struct Before { a: u8 } => struct After { #[serde(default = "nine")] b: u8, a: u8 }
        Before { a: 1 } => Is(After { a: 1, b: 9 });
    mod added_option:
        struct Before { a: u8 } => struct After { b: Option<String>, a: u8 }
        Before { a: 1 } => Is(After { a: 1, b: None });
    mod container_default:
        struct Before { a: u8 } =>
            #[derive(Default)] #[serde(default)] struct After { a: u8, b: String, c: bool }
        Before { a: 1 } => Is(After { a: 1, b: s(""), c: false });
    mod removed:
        struct Before { a: u8, b: u8 } => struct After { a: u8 }
        Before { a: 1, b: 2 } => Waits::<After>("b` is not known here");
    mod removed_and_denied:
        struct Before { a: u8, b: u8 } => #[serde(deny_unknown_fields)] struct After { a: u8 }
        Before { a: 1, b: 2 } => Waits::<After>("b` is not known here");
    mod removed_all:
        struct Before { a: u8 } => struct After {}
        Before { a: 1 } => Waits::<After>("a` is not known here");
    mod skipped:
        struct Before { a: u8, b: u8 } => struct After { a: u8, #[serde(skip)] b: u8 }
        Before { a: 1, b: 2 } => Waits::<After>("b` is not known here");
    mod widened:
        struct Before { a: u8, b: Option<i16> } => struct After { a: u64, b: Option<i64> }
        Before { a: 1, b: Some(-2) } => Is(After { a: 1, b: Some(-2) });
    mod narrowed:
        struct Before { a: u64 } => struct After { a: u8 }
        Before { a: 1 } => Is(After { a: 1 });
        Before { a: 1000 } => Fails::<After>("a` holds a number that is out of the range of u8");
    mod changed:
        struct Before { a: u8, b: String } => struct After { a: String, b: String }
        Before { a: 1, b: s("x") } => Waits::<After>("a`: was a u8, is a String");
    mod made_optional:
        struct Before { a: u8 } => struct After { a: Option<u8> }
        Before { a: 1 } => Is(After { a: Some(1) });
    mod made_required:
        struct Before { a: Option<u8> } => struct After { a: u8 }
        Before { a: Some(1) } => Is(After { a: 1 });
        Before { a: None } => Fails::<After>("a` holds no value");
    mod boxed:
        struct Before { a: String, b: Vec<u8> } => struct After { a: Box<str>, b: Box<[u8]> }
        Before { a: s("x"), b: vec![1] } => Same(After { a: "x".into(), b: [1].into() });
    mod newtype_around:
        struct Before { a: u8 } => struct After { a: Cents<u8> }
        Before { a: 1 } => Same(After { a: Cents(1) });
    mod newtype_around_and_widened:
        struct Before { a: u8 } => struct After { a: Cents<u64> }
        Before { a: 1 } => Is(After { a: Cents(1) });
    mod newtype_within:
        struct Before { a: Cents<Cents<u8>> } => struct After { a: Option<Cents<u8>> }
        Before { a: Cents(Cents(1)) } => Is(After { a: Some(Cents(1)) });
    mod newtype_to_struct:
        struct Before(u8); => struct After { a: u8 }
        Before(1) => Waits::<After>("was a u8, is a struct");
    mod struct_to_newtype:
        struct Before { a: u8 } => struct After(u8);
        Before { a: 1 } => Waits::<After>("was a struct, is a u8");
    mod tuple_to_struct:
        struct Before(u8, String); => struct After { a: u8, b: String }
        Before(1, s("x")) => Waits::<After>("was a tuple of 2, is a struct");
    mod struct_to_tuple:
        struct Before { a: u8, b: String } => struct After(u8, String);
        Before { a: 1, b: s("x") } => Waits::<After>("was a struct, is a tuple of 2");
    mod tuple_widened:
        struct Before(u8, String); => struct After(u64, Option<String>);
        Before(1, s("x")) => Is(After(1, Some(s("x"))));
    mod unit_to_struct:
        struct Before; => struct After {}
        Before => Waits::<After>("was a (), is a struct");
    mod unit_to_unit:
        struct Before; => struct After;
        Before => Same(After);
    mod nested:
        struct Before { in_: Range<u8>, n: u8 } => struct After { n: u8, in_: OtherRange<u16> }
        Before { in_: Range { start: 1, end: 2 }, n: 3 } =>
            Is(After { n: 3, in_: OtherRange { end: 2, start: 1 } });
    mod nested_twice:
        struct Before { a: Range<Range<u8>>, b: Range<u8> } =>
            struct After { a: OtherRange<OtherRange<u8>>, b: Range<u8> }
        Before { a: Range { start: r(1), end: r(2) }, b: r(3) } => Is(After {
            a: OtherRange { start: o(1), end: o(2) },
            b: r(3),
        });
    mod nested_difference:
        struct Before { a: Vec<Option<Range<u8>>> } => struct After { a: Vec<Option<Range<bool>>> }
        Before { a: vec![] } => Waits::<After>("a[].start`: was a u8, is a bool");
    mod generic:
        struct Before { a: Cents<Vec<Range<u8>>> } => struct After { a: Vec<OtherRange<u16>> }
        Before { a: Cents(vec![r(1), r(2)]) } => Is(After { a: vec![o(1), o(2)] });
    mod from_other_type:
        struct Before { a: Range<u8> } => struct After { a: Total }
        Before { a: Range { start: 1, end: 2 } } => Is(After { a: Total(3) });
    mod validated:
        struct Before { a: u8 } => struct After { a: Even }
        Before { a: 2 } => Is(After { a: Even(2) });
        Before { a: 3 } => Fails::<After>("a` its type refuses the value");
    mod recursive:
        struct Before { n: u8, next: Option<Box<Before>> } =>
            struct After { next: Option<Box<After>>, n: u16 }
        Before { n: 1, next: Some(Before { n: 2, next: None }.into()) } => Is(After {
            n: 1,
            next: Some(After { n: 2, next: None }.into()),
        });
    mod recursive_and_added:
        struct Before { all: Vec<Before> } =>
            struct After { #[serde(default)] n: u8, all: Vec<After> }
        Before { all: vec![Before { all: vec![] }] } =>
            Is(After { n: 0, all: vec![After { n: 0, all: vec![] }] });
    mod recursive_and_changed:
        struct Before { n: u8, all: Vec<Before> } => struct After { n: bool, all: Vec<After> }
        Before { n: 1, all: vec![] } => Waits::<After>("n`: was a u8, is a bool");
    mod recursive_and_removed:
        struct Before { n: u8, all: BTreeMap<u8, Before> } =>
            struct After { all: BTreeMap<String, After> }
        Before { n: 1, all: BTreeMap::new() } => Waits::<After>("n` is not known here");
    mod unrolled:
        struct Before { n: u8, next: Option<Box<Before>> } =>
            struct After { n: u8, next: Option<Box<List>> }
        Before { n: 1, next: None } => Same(After { n: 1, next: None });
    mod made_recursive:
        struct Before { n: u8 } => struct After { n: u8, next: Option<Box<After>> }
        Before { n: 1 } => Is(After { n: 1, next: None });
    mod fields_of_a_tuple:
        struct Before((u8, Range<u8>), u8); => struct After((u16, OtherRange<u8>), u8);
        Before((1, r(2)), 3) => Is(After((1, o(2)), 3));
    mod std_range:
        struct Before { a: std::ops::Range<u8> } =>
            struct After { a: std::ops::RangeInclusive<u16> }
        Before { a: 1..3 } => Is(After { a: 1..=3 });
    mod std_duration:
        struct Before { a: std::time::Duration } => struct After { a: Option<std::time::Duration> }
        Before { a: std::time::Duration::from_millis(1500) } =>
            Is(After { a: Some(std::time::Duration::from_millis(1500)) });
    mod std_duration_to_number:
        struct Before { a: std::time::Duration } => struct After { a: u64 }
        Before { a: std::time::Duration::ZERO } => Waits::<After>("a`: was a struct, is a u64");
}

/// Reads as another type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Range<u64>")]
struct Total(u64);

impl From<Range<u64>> for Total {
    fn from(range: Range<u64>) -> Self {
        Self(range.start + range.end)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u16")]
struct Even(u16);

impl TryFrom<u16> for Even {
    type Error = &'static str;

    fn try_from(value: u16) -> Result<Self, Self::Error> {
        if value.is_multiple_of(2) { Ok(Self(value)) } else { Err("odd") }
    }
}

fn nine() -> u8 {
    9
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cents<T>(T);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Range<T> {
    start: T,
    end: T,
}

fn r(start: u8) -> Range<u8> {
    Range { start, end: 0 }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OtherRange<T> {
    end: T,
    start: T,
}

fn o<T: From<u8>>(start: u8) -> OtherRange<T> {
    OtherRange { start: start.into(), end: 0.into() }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct List {
    n: u8,
    next: Option<Box<List>>,
}

/// A struct whose visitor has no `visit_map`. Postcard reads it, and JSON does not.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct ByPosition<T> {
    one: T,
    two: u16,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByPosition<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Fields<T> {
            type Value = ByPosition<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("two fields")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut fields: A,
            ) -> Result<ByPosition<T>, A::Error> {
                let missing = || serde::de::Error::custom("two fields are needed");
                let one = fields.next_element()?.ok_or_else(missing)?;
                Ok(ByPosition { one, two: fields.next_element()?.ok_or_else(missing)? })
            }
        }
        deserializer.deserialize_struct("ByPosition", &["one", "two"], Fields(Default::default()))
    }
}

/// Decided for the pair: every value of it would fail.
#[test]
fn a_struct_that_is_read_by_position_waits() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct ByName {
        one: u8,
        two: u16,
    }
    type Waiting = ByPosition<u8>;
    let before = ByName { one: 1, two: 2 };
    let why = "its type reads fields by their position alone";
    nested::<_, Waiting>(before.clone(), Expected::Waits(why));
    nested::<_, Waiting>(ByPosition { one: 1_u16, two: 2 }, Expected::Waits(why));
    nested(ByPosition { one: 1_u8, two: 2 }, Expected::Same(before.clone()));
    let words = resolution::<(ByName, u8), (Waiting, u16)>(&[]).unwrap_err().to_string();
    assert!(words.starts_with(&format!("parameter `p.0`: {why}")), "{words}");
    // Under the very schema it is read in place.
    let (named, positional) = (schema::<ByName>(), schema::<Waiting>());
    assert_eq!((named.shape(), &named), (positional.shape(), &positional));
    assert_eq!(postcard::from_bytes(&encoded(&before)), Ok(ByPosition { one: 1_u8, two: 2 }));
}
