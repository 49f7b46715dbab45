//! What is read where nothing was written: an option is `None`, as in serde's derive.

use serde::Deserializer;
use serde::de::{Error, Visitor};
use serde::forward_to_deserialize_any;

use super::failure::Failure;

/// A parameter that the payload lacks.
pub(crate) struct Absent(pub(crate) &'static str);

impl<'de> Deserializer<'de> for Absent {
    type Error = Failure;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(Failure::missing_field(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_none()
    }

    // The schema does not distinguish a newtype from what it wraps.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
