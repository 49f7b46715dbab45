//! What is refused, and the message about it.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::ser::{SerializeMap as _, SerializeSeq as _, SerializeStruct as _};
use serde::{Deserialize, Deserializer, Serializer};

use super::*;

/// The message about a value, without the words that all begin with.
fn refusal<T: Serialize + DeserializeOwned>(value: &T) -> String {
    let said = written(value).expect_err(std::any::type_name::<T>());
    assert!(!said.contains("SECRET"), "{said}");
    said.strip_prefix("cannot be stored: ").unwrap().to_owned()
}

/// Checks how a text begins, and that it has the parts.
macro_rules! says {
    ($($value:expr => $begin:literal $(, $part:literal)*;)*) => {$(
        let said = refusal(&$value);
        assert!(said.starts_with($begin), "{said}");
        $(assert!(said.contains($part), "{said}");)*
    )*};
}

#[derive(Serialize, Deserialize)]
struct Omitting {
    a: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b: Option<u8>,
    c: Option<u8>,
}

#[derive(Serialize, Deserialize)]
enum OmittingVariant {
    Plain,
    Some {
        deep: BTreeMap<String, (u8, Vec<Omitting>)>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        last: String,
    },
}

#[test]
fn fields_that_are_left_out() {
    let omitting = |b| Omitting { a: 1, b, c: None };
    is_as_by_postcard(&omitting(Some(2)));
    let variant = |last: &str| OmittingVariant::Some {
        deep: BTreeMap::from([("SECRET".to_owned(), (7, vec![omitting(Some(1)), omitting(None)]))]),
        last: last.to_owned(),
    };
    let shallow = OmittingVariant::Some { deep: BTreeMap::new(), last: String::new() };
    is_as_by_postcard(&OmittingVariant::Plain);
    says! {
        omitting(None) => "`p.b` is left out when it is written (`skip_serializing_if`)",
            "`#[serde(default)]` does not help here", "Store every field always: remove",
            "`gae_tasks::Json<T>`";
        Some(vec![omitting(None)]) => "`p[].b` is left out";
        variant("x") => "`p::Some.deep{value}.1[].b` is left out";
        shallow => "`p::Some.last` is left out";
    }
}

#[derive(Serialize, Deserialize)]
struct Unwritten {
    a: u8,
    #[serde(default, skip_serializing)]
    b: u8,
    c: u8,
}

#[derive(Serialize, Deserialize)]
struct UnwrittenLast {
    a: u8,
    #[serde(default, skip_serializing)]
    b: u8,
}

#[derive(Serialize, Deserialize)]
struct Unread {
    a: u8,
    #[serde(skip_deserializing)]
    b: u8,
    c: u8,
}

#[derive(Serialize, Deserialize)]
struct UnreadLast {
    a: u8,
    #[serde(skip_deserializing)]
    b: u8,
}

#[derive(Serialize, Deserialize)]
enum UnreadInVariant {
    A {
        a: u8,
        #[serde(skip_deserializing)]
        b: u8,
    },
}

#[test]
fn fields_that_one_half_skips() {
    says! {
        Unwritten { a: 1, b: 2, c: 3 } => "`p.b` is read, but never written (`skip_serializing`)",
            "does not help here", "Use `#[serde(skip)]`", "Json";
        UnwrittenLast { a: 1, b: 2 } => "`p.b` is read, but never written";
        Unread { a: 1, b: 2, c: 3 } => "`p.b` is written, but never read (`skip_deserializing`)",
            "use `#[serde(skip)]`", "Json";
        (1_u8, UnreadLast { a: 1, b: 2 }) => "`p.1.b` is written, but never read";
        UnreadInVariant::A { a: 1, b: 2 } => "`p::A.b` is written, but never read";
    }
}

#[derive(Serialize, Deserialize)]
struct Renamed {
    a: u8,
    #[serde(rename(serialize = "out"))]
    b: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all(deserialize = "UPPERCASE"))]
enum RenamedVariant {
    One,
    Two(u8),
}

#[test]
fn names_that_one_half_has() {
    says! {
        Renamed { a: 1, b: 2 } =>
            "`p.b` is written under the name `out` (`rename(serialize = ..)`)",
            "which is not read", "`#[serde(alias = \"out\")]`";
        RenamedVariant::One => "`p::One` is not read under this name",
            "`#[serde(alias = \"One\")]`";
        [RenamedVariant::Two(1)] => "`p.0::Two` is not read under this name";
    }
}

#[derive(Serialize, Deserialize)]
enum SkippedVariant {
    A,
    #[serde(skip)]
    B,
    C(u8),
}

#[derive(Serialize, Deserialize)]
enum UnreadVariant {
    A,
    #[serde(skip_deserializing)]
    B,
}

#[derive(Serialize, Deserialize)]
enum UnwrittenVariant {
    A,
    #[serde(skip_serializing)]
    B(String),
}

#[test]
fn variants_that_are_skipped() {
    is_as_by_postcard(&SkippedVariant::A);
    is_as_by_postcard(&UnreadVariant::A);
    is_as_by_postcard(&UnwrittenVariant::A);
    says! {
        SkippedVariant::C(1) => "`p::C` is written as variant 2, but read as variant 1",
            "`#[serde(skip)]`", "behind all others";
        UnreadVariant::B => "`p::B` is written, but never read (`skip_deserializing`)";
        UnwrittenVariant::B("SECRET".to_owned()) => "`p` is refused by its own `Serialize`",
            "a variant";
    }
}

/// Written as one type, read as another.
struct Halves<W, R>(W, PhantomData<R>);

impl<W: Serialize, R> Serialize for Halves<W, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, W, R: Deserialize<'de>> Deserialize<'de> for Halves<W, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        R::deserialize(deserializer)?;
        Err(serde::de::Error::custom("only its schema is asked for"))
    }
}

fn halves<R, W>(written: W) -> Halves<W, R> {
    Halves(written, PhantomData)
}

#[derive(Serialize, Deserialize)]
struct Point {
    x: u8,
    y: u8,
}

#[derive(Deserialize)]
struct Turned {
    y: u8,
    x: u8,
}

#[derive(Serialize, Deserialize)]
enum Choice {
    Unit,
    One(u8),
    Two(u8, u8),
    Named { a: u8 },
}

#[derive(Deserialize)]
enum OtherChoice {
    Unit(u8),
    One,
    Two { a: u8 },
    Named(u8, u8),
}

#[test]
fn numbers_and_texts_of_other_kinds() {
    says! {
        halves::<u32, _>(5_u64) => "`p` is written as a u64, but read as a u32",
            "make its `Serialize` and `Deserialize` agree", "Json";
        halves::<u64, _>(5_i64) => "`p` is written as an i64, but read as a u64";
        halves::<i64, _>(5_u32) => "`p` is written as a u32, but read as an i64";
        halves::<u16, _>(5_u8) => "`p` is written as a u8, but read as a u16";
        halves::<u8, _>(true) => "`p` is written as a bool, but read as a u8";
        halves::<f64, _>(1_f32) => "`p` is written as an f32, but read as an f64";
        halves::<u8, _>("SECRET") => "`p` is written as a String, but read as a u8";
        halves::<char, _>("SECRET") => "`p` is written as a String, but read as a char";
        halves::<[u8; 16], _>(bytes::Bytes::from_static(b"SECRET")) =>
            "`p` is written as bytes, but read as an array of 16";
        halves::<String, _>(bytes::Bytes::from_static(b"SECRET")) =>
            "`p` is written as bytes, but read as a String";
        halves::<u8, _>(format_args!("{}", "SECRET")) =>
            "`p` is written as a String, but read as a u8";
        halves::<u8, _>(()) => "`p` is written as a (), but read as a u8";
    }
}

#[test]
fn parts_of_other_kinds() {
    says! {
        halves::<Option<u8>, _>(5_u8) => "`p` is written as a u8, but read as an Option";
        halves::<u8, _>(Some(5_u8)) => "`p` is written as an Option, but read as a u8";
        halves::<u8, _>(None::<u8>) => "`p` is written as an Option, but read as a u8";
        halves::<(u8, u8), _>(vec![1_u8, 2]) =>
            "`p` is written as a sequence, but read as an array of 2";
        halves::<Vec<u8>, _>((1_u8, 2_u8)) =>
            "`p` is written as a tuple of 2, but read as a sequence";
        halves::<(u8, u8, u16), _>((1_u8, 2_u8)) =>
            "`p` is written as a tuple of 2, but read as a tuple of 3";
        halves::<BTreeMap<u8, u8>, _>(vec![(1_u8, 2_u8)]) =>
            "`p` is written as a sequence, but read as a map";
        halves::<Vec<(u8, u8)>, _>(BTreeMap::from([(1_u8, 2_u8)])) =>
            "`p` is written as a map, but read as a sequence";
        halves::<BTreeMap<String, u8>, _>(Point { x: 1, y: 2 }) =>
            "`p` is written as a struct, but read as a map";
        halves::<Point, _>((1_u8, 2_u8)) => "`p` is written as a tuple of 2, but read as a struct";
        halves::<Turned, _>(Point { x: 1, y: 2 }) =>
            "`p.x` stands at another place when it is written";
        halves::<BTreeMap<String, u8>, _>(BTreeMap::from([("SECRET", "SECRET")])) =>
            "`p{value}` is written as a String, but read as a u8";
        halves::<BTreeMap<u8, u8>, _>(BTreeMap::from([("SECRET", 1_u8)])) =>
            "`p{key}` is written as a String, but read as a u8";
    }
}

#[test]
fn enums_of_other_kinds() {
    says! {
        halves::<u32, _>(Choice::Unit) => "`p` is written as an enum, but read as a u32";
        halves::<Choice, _>("Unit") => "`p` is written as a String, but read as an enum";
        halves::<OtherChoice, _>(Choice::Unit) => "`p::Unit` is written as a (), but read as a u8";
        halves::<OtherChoice, _>(Choice::One(1)) => "`p::One` is written as a u8, but read as a ()";
        halves::<OtherChoice, _>(Choice::Two(1, 2)) =>
            "`p::Two` is written as a tuple of 2, but read as a struct";
        halves::<OtherChoice, _>(Choice::Named { a: 1 }) =>
            "`p::Named` is written as a struct, but read as an array of 2";
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
    Text(String),
}

#[derive(Serialize)]
struct Flat {
    a: u8,
    #[serde(flatten)]
    rest: Point,
}

#[derive(Serialize)]
#[serde(tag = "t")]
enum Tagged {
    A { x: u8 },
}

#[test]
fn representations_that_one_half_has() {
    says! {
        halves::<Choice, _>(Untagged::Number(1)) => "`p` is written as a u8, but read as an enum";
        halves::<Point, _>(Flat { a: 1, rest: Point { x: 1, y: 2 } }) =>
            "`p` is written as a map that does not say how many elements follow",
            "`#[serde(flatten)]`", "Json";
        halves::<Choice, _>(Tagged::A { x: 1 }) =>
            "`p` is written as a struct, but read as an enum";
    }
}

/// A value whose `Serialize` is the block, and which is read as a type.
macro_rules! doing {
    ($read:ty, |$serializer:ident| $body:block) => {{
        struct Done;
        impl Serialize for Done {
            fn serialize<S: Serializer>(&self, $serializer: S) -> Result<S::Ok, S::Error> {
                $body
            }
        }
        halves::<$read, _>(Done)
    }};
}

#[test]
fn counts_that_are_not_kept() {
    let fewer = doing!(Vec<u8>, |serializer| {
        let mut seq = serializer.serialize_seq(Some(3))?;
        seq.serialize_element(&1_u8)?;
        seq.end()
    });
    let more = doing!(Vec<u8>, |serializer| {
        let mut seq = serializer.serialize_seq(Some(0))?;
        seq.serialize_element(&1_u8)?;
        seq.end()
    });
    let short_map = doing!(BTreeMap<u8, u8>, |serializer| {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(&1_u8, &1_u8)?;
        map.end()
    });
    let long_map = doing!(BTreeMap<u8, u8>, |serializer| {
        let mut map = serializer.serialize_map(Some(0))?;
        map.serialize_entry(&1_u8, &1_u8)?;
        map.end()
    });
    let open_map = doing!(BTreeMap<u8, u8>, |serializer| { serializer.serialize_map(None)?.end() });
    let open = doing!(Vec<u8>, |serializer| {
        serializer.collect_seq([1_u8, 2].into_iter().filter(|one| *one > 1))
    });
    says! {
        fewer => "`p` has more or fewer elements than its `Serialize` says";
        more => "`p` has more or fewer elements";
        short_map => "`p` has more or fewer elements";
        long_map => "`p` has more or fewer elements";
        open_map => "`p` is written as a map that does not say how many elements follow: collect";
        open => "`p` is written as a sequence that does not say how many elements follow: collect";
    }
}

#[test]
fn fields_by_hand() {
    let twice = doing!(Point, |serializer| {
        let mut fields = serializer.serialize_struct("Point", 2)?;
        fields.serialize_field("x", &1_u8)?;
        fields.serialize_field("x", &1_u8)?;
        fields.end()
    });
    let extra = doing!(Point, |serializer| {
        let mut fields = serializer.serialize_struct("Point", 2)?;
        fields.serialize_field("x", &1_u8)?;
        fields.serialize_field("y", &1_u8)?;
        fields.serialize_field("z", &1_u8)?;
        fields.end()
    });
    let again = doing!(Point, |serializer| {
        let mut fields = serializer.serialize_struct("Point", 2)?;
        fields.serialize_field("x", &1_u8)?;
        fields.serialize_field("y", &1_u8)?;
        fields.serialize_field("x", &1_u8)?;
        fields.end()
    });
    says! {
        twice => "`p.x` stands at another place";
        extra => "`p.z` is written, but never read";
        again => "`p.x` stands at another place";
    }
}

#[test]
fn a_type_s_own_words_are_not_repeated() {
    let refusing = doing!(Vec<Point>, |_serializer| {
        Err(serde::ser::Error::custom("the value SECRET is not allowed"))
    });
    says! {
        refusing => "`p` is refused by its own `Serialize`";
        halves::<Vec<Option<String>>, _>(vec![Some(Untold)]) =>
            "`p[]` is refused by its own `Serialize`";
    }
}

/// Refuses to be written or shown.
struct Untold;

impl std::fmt::Display for Untold {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}

impl Serialize for Untold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
