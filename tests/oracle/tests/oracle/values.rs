//! Makes random values of any type: a deserializer that answers what the type asks for.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::random::Random;

/// How deep values stand in each other before they end as early as they can.
const DEPTH: usize = 5;

/// A random value, and what of it JSON cannot say.
pub(crate) fn value<T: for<'de> Deserialize<'de>>(random: &mut Random) -> (T, Unsaid) {
    let mut unsaid = Unsaid::default();
    let values =
        Values { random, unsaid: &mut unsaid, depth: 0, is_key: false, is_in_option: false };
    (T::deserialize(values).expect("any type has values"), unsaid)
}

/// What JSON has no words for.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Unsaid {
    /// NaN or an infinity.
    pub(crate) is_infinite: bool,
    /// An integer of more than 64 bits.
    pub(crate) is_wide: bool,
    /// An option that holds nothing, as an empty one or a unit.
    pub(crate) is_nothing: bool,
}

struct Values<'a> {
    random: &'a mut Random,
    unsaid: &'a mut Unsaid,
    depth: usize,
    is_key: bool,
    is_in_option: bool,
}

/// A value cannot be made.
#[derive(Debug)]
pub(crate) struct Impossible(String);

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Impossible {}

impl serde::de::Error for Impossible {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self(reason.to_string())
    }
}

const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "é",
    "0",
    "7",
    "42",
    "-1",
    "255",
    "256",
    "-129",
    "65536",
    "4294967296",
    "007",
    "+1",
    "1.5",
    "true",
    "a b",
    "V0",
    "日本",
    "\"\\\n",
    "f0",
    "18446744073709551616",
];
const CHARS: &[char] = &['a', 'A', '7', '0', '-', 'é', '日', '\u{10ffff}', '"', ' '];
const EDGES: &[i64] = &[
    0,
    1,
    -1,
    2,
    7,
    100,
    127,
    128,
    -128,
    -129,
    255,
    256,
    32_767,
    32_768,
    -32_769,
    65_535,
    65_536,
    i64::MAX,
    i64::MIN,
    u32::MAX as i64,
    i32::MIN as i64,
    1 << 24,
    (1 << 24) + 1,
    (1 << 53) + 1,
];
const FLOATS: &[f64] = &[0.0, -0.0, 1.0, -1.5, 0.1, 255.0, 16_777_217.0, 1e300, 5e-324, 1e10];

impl<'a> Values<'a> {
    /// A part of the value.
    fn part(&mut self) -> Values<'_> {
        let Self { random, unsaid, depth, .. } = self;
        Values { random, unsaid, depth: *depth + 1, is_key: false, is_in_option: false }
    }

    fn bits(&mut self) -> i64 {
        match self.random.below(3) {
            0 => self.random.pick(EDGES),
            1 => self.random.below(10) as i64,
            _ => self.random.next() as i64 >> self.random.below(64),
        }
    }

    fn len(&mut self) -> usize {
        match DEPTH.saturating_sub(self.depth) {
            0 => 0,
            1 | 2 => self.random.below(2),
            _ => self.random.below(4),
        }
    }

    fn float(&mut self) -> f64 {
        let float = match self.random.below(24) {
            0 => f64::NAN,
            1 => self.random.pick(&[f64::INFINITY, f64::NEG_INFINITY]),
            2..6 => self.random.below(1_000) as f64 / 8.0,
            6..10 => f64::from_bits(self.random.next()),
            10..14 => f64::from(f32::from_bits(self.random.next() as u32)),
            _ => self.random.pick(FLOATS),
        };
        self.unsaid.is_infinite |= !float.is_finite();
        float
    }

    fn parts(self, left: usize) -> Parts<'a> {
        Parts { values: self, left }
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ident)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Impossible> {
            // Whatever is too large for the type is another number of it.
            let bits = self.bits();
            visitor.$visit(bits as $type)
        }
    )*};
}

impl<'de> Deserializer<'de> for Values<'_> {
    type Error = Impossible;

    integers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Impossible> {
        Err(Impossible("asks for anything".to_owned()))
    }

    fn deserialize_i128<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Impossible> {
        let wide = i128::from(self.bits());
        let wide = if self.random.once_in(4) { wide << self.random.below(64) } else { wide };
        self.unsaid.is_wide |= i64::try_from(wide).is_err() && u64::try_from(wide).is_err();
        visitor.visit_i128(wide)
    }

    fn deserialize_u128<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Impossible> {
        let wide = u128::from(self.bits() as u64);
        let wide = if self.random.once_in(4) { wide << self.random.below(64) } else { wide };
        self.unsaid.is_wide |= u64::try_from(wide).is_err();
        visitor.visit_u128(wide)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Impossible> {
        visitor.visit_bool(self.random.once_in(2))
    }

    fn deserialize_f32<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Impossible> {
        let float = self.float() as f32;
        self.unsaid.is_infinite |= !float.is_finite();
        visitor.visit_f32(float)
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Impossible> {
        let float = self.float();
        visitor.visit_f64(float)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Impossible> {
        visitor.visit_char(self.random.pick(CHARS))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Impossible> {
        let is_number = self.is_key && self.random.once_in(2);
        if is_number {
            return visitor.visit_string(self.random.below(300).to_string());
        }
        visitor.visit_str(self.random.pick(TEXTS))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Impossible> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Impossible> {
        visitor.visit_bytes(self.random.pick(TEXTS).as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Impossible> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Impossible> {
        if self.depth > DEPTH || self.random.once_in(3) {
            self.unsaid.is_nothing |= self.is_in_option;
            return visitor.visit_none();
        }
        visitor.visit_some(Values { is_in_option: true, ..self.part() })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Impossible> {
        self.unsaid.is_nothing |= self.is_in_option;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Impossible> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Impossible> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Impossible> {
        let len = self.len();
        visitor.visit_seq(self.parts(len))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Impossible> {
        visitor.visit_seq(self.parts(len))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Impossible> {
        visitor.visit_seq(self.parts(len))
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Impossible> {
        let len = self.len();
        visitor.visit_map(self.parts(len))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Impossible> {
        // One after the other; there are no more fields than names.
        visitor.visit_seq(self.parts(fields.len()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Impossible> {
        visitor.visit_enum(Chosen { values: self, variants })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Impossible> {
        Err(Impossible("asks for a name".to_owned()))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Impossible> {
        Err(Impossible("ignores something".to_owned()))
    }
}

/// The parts of a value.
struct Parts<'a> {
    values: Values<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Impossible;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Impossible> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.values.part()).map(Some)
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Impossible;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Impossible> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Values { is_key: true, ..self.values.part() }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Impossible> {
        seed.deserialize(self.values.part())
    }
}

/// A variant; the first, if values stand too deep.
struct Chosen<'a> {
    values: Values<'a>,
    variants: &'static [&'static str],
}

impl<'a, 'de> EnumAccess<'de> for Chosen<'a> {
    type Error = Impossible;
    type Variant = Parts<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Parts<'a>), Impossible> {
        let Self { values, variants } = self;
        let count = if values.depth > DEPTH { 1 } else { variants.len() };
        let name = values.random.pick(&variants[..count]);
        Ok((seed.deserialize(StrDeserializer::new(name))?, values.parts(usize::MAX)))
    }
}

impl<'de> VariantAccess<'de> for Parts<'_> {
    type Error = Impossible;

    fn unit_variant(self) -> Result<(), Impossible> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        mut self,
        seed: T,
    ) -> Result<T::Value, Impossible> {
        seed.deserialize(self.values.part())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Impossible> {
        visitor.visit_seq(self)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Impossible> {
        visitor.visit_seq(self)
    }
}
