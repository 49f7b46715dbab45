//! Payloads that are read as whatever was written.

use std::fmt::Write as _;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::*;

/// Writes everything down, asking what comes next.
pub(super) struct Shown<'a>(pub(super) &'a mut String);

impl<'de> DeserializeSeed<'de> for Shown<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

macro_rules! leaves {
    ($($method:ident $ty:ty),*) => {$(
        fn $method<E: Error>(self, value: $ty) -> Result<(), E> {
            let _ = write!(self.0, "{value:?}");
            Ok(())
        }
    )*};
}

impl<'de> Visitor<'de> for Shown<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    leaves!(visit_bool bool, visit_u64 u64, visit_i64 i64, visit_f64 f64, visit_str &str);

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        self.deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.push('[');
        while seq.next_element_seed(Shown(self.0))?.is_some() {
            self.0.push(',');
        }
        self.0.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.push('{');
        while let Some(key) = map.next_key::<String>()? {
            let _ = write!(self.0, "{key}:");
            map.next_value_seed(Shown(self.0))?;
            self.0.push(',');
        }
        self.0.push('}');
        Ok(())
    }
}

pub(super) fn shown(schema: &Schema, bytes: &[u8]) -> Result<String, UnreadableError> {
    let mut shown = String::new();
    Decoder::read_any(schema, bytes, Shown(&mut shown)).map(|()| shown)
}

#[derive(Debug, Serialize, Deserialize)]
struct Everything {
    numbers: (i8, u64, u128, u128, f32),
    texts: (char, String, bool, ()),
    options: [Option<Option<u8>>; 3],
    bytes: uuid::Uuid,
    #[serde(alias = "older")]
    variants: Vec<Variant<u8>>,
    by_number: BTreeMap<u8, u8>,
    by_others: (BTreeMap<bool, u8>, BTreeMap<(u8, char), u8>),
    keys: BTreeMap<Key, ()>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    A,
    B,
}

#[test]
fn everything_is_shown_as_json_has_it() {
    let everything = Everything {
        numbers: (-1, 2, 3, u128::MAX, 0.5),
        texts: ('a', "b".into(), true, ()),
        options: [None, Some(None), Some(Some(1))],
        bytes: uuid::Uuid::from_bytes([7; 16]),
        variants: vec![
            Variant::Other,
            Variant::One(1),
            Variant::Two(1, 2),
            Variant::Named { it: 1, after: None },
        ],
        by_number: BTreeMap::from([(1, 2)]),
        by_others: (BTreeMap::from([(false, 1)]), BTreeMap::from([((1, 'a'), 2), ((2, 'b'), 3)])),
        keys: BTreeMap::from([(Key::B, ())]),
    };
    let text = shown(&schema::<Everything>(), &encoded(&everything)).unwrap();
    assert_eq!(
        text,
        format!(
            "{{p:{{numbers:[-1,2,3,\"{}\",0.5,],texts:[\"a\",\"b\",true,null,],\
             options:[null,null,1,],bytes:[{}],older:[\"Other\",{{One:1,}},{{Two:[1,2,],}},\
             {{Named:{{it:1,after:null,}},}},],\
             by_number:{{1:2,}},by_others:[{{false:1,}},[[[1,\"a\",],2,],[[2,\"b\",],3,],],],\
             keys:{{B:null,}},}},}}",
            u128::MAX,
            "7,".repeat(16),
        ),
    );
}

#[cfg(feature = "json")]
#[test]
fn a_value_of_json_is_read() {
    let value = Within { before: 1, it: Variant::One(vec![uuid::Uuid::nil()]), after: "x".into() };
    let schema = schema::<Within<Variant<Vec<uuid::Uuid>>>>();
    let of = std::marker::PhantomData::<serde_json::Value>;
    let read = Decoder::read_any(&schema, &encoded(&value), of).unwrap();
    let expected =
        serde_json::json!({ "p": { "before": 1, "it": { "One": [vec![0; 16]] }, "after": "x" } });
    assert_eq!(read, expected);
}

#[test]
fn bytes_that_are_not_what_the_schema_says_are_refused() {
    let schema = schema::<(u8, String)>();
    assert_eq!(shown(&schema, &[1, 1, b'a']).as_deref(), Ok("{p:[1,\"a\",],}"));
    for (bytes, error) in [
        (&[][..], "parameter `p.0` ends early"),
        (&[1, 2, b'a'], "parameter `p.1` ends early"),
        (&[1, 1, 0xff], "parameter `p.1` is not what its schema says"),
        (&[1, 1, b'a', 0], "the payload has 1 bytes too many"),
    ] {
        assert_eq!(shown(&schema, bytes).unwrap_err().to_string(), error);
    }
}
