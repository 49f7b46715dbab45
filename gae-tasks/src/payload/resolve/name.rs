//! A name of a field or of a variant, for the identifier of the reader's type.

use serde::Deserializer;
use serde::de::Visitor;
use serde::de::value::StrDeserializer;
use serde::forward_to_deserialize_any;

use super::failure::{Failure, Reason};

/// The names that a type knows, as it gives them.
pub(crate) type Known = Option<&'static [&'static str]>;

/// A name that is to be recognised.
pub(crate) struct Name<'de> {
    pub(crate) name: &'de str,
    pub(crate) known: Known,
}

impl Name<'_> {
    /// The position of the name, for identifiers that understand numbers only.
    fn number(&self) -> Result<u32, Failure> {
        let position = self.known.and_then(|known| known.iter().position(|one| *one == self.name));
        Ok(position.ok_or(Reason::UnknownName)? as u32)
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.visit_u32(self.number()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Name<'de> {
    type Error = Failure;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.name)
    }

    numbers! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_enum(StrDeserializer::new(self.name))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}
