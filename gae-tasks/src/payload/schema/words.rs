//! What nodes are called in messages, each with its article.

use std::borrow::Cow;

use super::node::{Leaf, Node};

impl Node {
    /// What it is, whatever its parts are.
    #[cold]
    pub(crate) fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Leaf(leaf) => leaf.words(),
            Self::Option(_) => "an Option",
            Self::Seq(_) => "a sequence",
            Self::Map(..) => "a map",
            Self::Tuple(ids) => return format!("a tuple of {}", ids.len()).into(),
            Self::Array(len, _) => return format!("an array of {len}").into(),
            Self::Struct(_) => "a struct",
            Self::Enum(_) => "an enum",
        })
    }
}

impl Leaf {
    /// What it is.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Unit => "a ()",
            Self::Bool => "a bool",
            Self::I8 => "an i8",
            Self::I16 => "an i16",
            Self::I32 => "an i32",
            Self::I64 => "an i64",
            Self::I128 => "an i128",
            Self::U8 => "a u8",
            Self::U16 => "a u16",
            Self::U32 => "a u32",
            Self::U64 => "a u64",
            Self::U128 => "a u128",
            Self::F32 => "an f32",
            Self::F64 => "an f64",
            Self::Char => "a char",
            Self::String => "a String",
            Self::Bytes => "bytes",
        }
    }
}
