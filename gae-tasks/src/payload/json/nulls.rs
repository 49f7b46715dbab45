//! Looks for what becomes a null in JSON, and something else when it is read back.

use std::fmt;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::payload::remedy::{NOT_FINITE, NULL_IN_SOME};

/// What `value` holds that a null stands for and that is not read back, in words: a number that is
/// NaN or infinite, or `Some` of what is null by itself.
///
/// Whether the value can be written otherwise does not matter here: JSON was made of it before.
pub(super) fn lost<T: Serialize>(value: &T) -> Option<&'static str> {
    match value.serialize(Walk) {
        Err(Stop::Lost(words)) => Some(words),
        Err(Stop::Refused) | Ok(_) => None,
    }
}

/// Why a walk ends early.
#[derive(Debug)]
enum Stop {
    Lost(&'static str),
    Refused,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a null is looked for")
    }
}

impl std::error::Error for Stop {}

impl serde::ser::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Refused
    }
}

/// A part of a value, or all its parts.
struct Walk;

/// What a part is in JSON.
#[derive(PartialEq, Eq)]
enum Is {
    Null,
    Other,
}

type Walked = Result<Is, Stop>;
type Opened = Result<Walk, Stop>;

fn number(is_finite: bool) -> Walked {
    if is_finite { Ok(Is::Other) } else { Err(Stop::Lost(NOT_FINITE)) }
}

macro_rules! passed {
    ($($method:ident($($ty:ty),*) $is:expr;)*) => {$(
        fn $method(self, $(_: $ty),*) -> Walked {
            Ok($is)
        }
    )*};
}

macro_rules! opened {
    ($($method:ident($($ty:ty),*);)*) => {$(
        fn $method(self, $(_: $ty),*) -> Opened {
            Ok(self)
        }
    )*};
}

impl Serializer for Walk {
    type Ok = Is;
    type Error = Stop;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn serialize_f32(self, value: f32) -> Walked {
        number(value.is_finite())
    }

    fn serialize_f64(self, value: f64) -> Walked {
        number(value.is_finite())
    }

    passed! {
        serialize_bool(bool) Is::Other;
        serialize_i8(i8) Is::Other;
        serialize_i16(i16) Is::Other;
        serialize_i32(i32) Is::Other;
        serialize_i64(i64) Is::Other;
        serialize_i128(i128) Is::Other;
        serialize_u8(u8) Is::Other;
        serialize_u16(u16) Is::Other;
        serialize_u32(u32) Is::Other;
        serialize_u64(u64) Is::Other;
        serialize_u128(u128) Is::Other;
        serialize_char(char) Is::Other;
        serialize_str(&str) Is::Other;
        serialize_bytes(&[u8]) Is::Other;
        serialize_none() Is::Null;
        serialize_unit() Is::Null;
        serialize_unit_struct(&'static str) Is::Null;
        serialize_unit_variant(&'static str, u32, &'static str) Is::Other;
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, _: &T) -> Walked {
        Ok(Is::Other)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Walked {
        match value.serialize(self)? {
            // JSON has one null, which is read back as `None`.
            Is::Null => Err(Stop::Lost(NULL_IN_SOME)),
            Is::Other => Ok(Is::Other),
        }
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Walked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Walked {
        value.serialize(self).map(|_| Is::Other)
    }

    opened! {
        serialize_seq(Option<usize>);
        serialize_tuple(usize);
        serialize_tuple_struct(&'static str, usize);
        serialize_tuple_variant(&'static str, u32, &'static str, usize);
        serialize_map(Option<usize>);
        serialize_struct(&'static str, usize);
        serialize_struct_variant(&'static str, u32, &'static str, usize);
    }
}

macro_rules! parts {
    ($($way:ident $($method:ident($($name:ty)?)),+;)*) => {$(
        impl $way for Walk {
            type Ok = Is;
            type Error = Stop;

            $(fn $method<T: ?Sized + Serialize>(
                &mut self,
                $(_: $name,)?
                value: &T,
            ) -> Result<(), Stop> {
                value.serialize(Self).map(drop)
            })+

            fn end(self) -> Walked {
                Ok(Is::Other)
            }
        }
    )*};
}

parts! {
    SerializeSeq serialize_element();
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeTupleVariant serialize_field();
    SerializeMap serialize_key(), serialize_value();
    SerializeStruct serialize_field(&'static str);
    SerializeStructVariant serialize_field(&'static str);
}
