//! The parts of a schema: nodes that refer to each other by their position.

use std::borrow::Cow;

/// How deep types may stand in each other, and values: schemas and payloads come from outside, and
/// code that follows them calls itself. Messages spell the number.
pub(crate) const MAX_DEPTH: u8 = 128;

/// The position of a node among the nodes of its schema.
pub(crate) type NodeId = u32;

/// One type, as far as a payload depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A value without parts.
    Leaf(Leaf),
    /// A byte that says whether a value follows.
    Option(NodeId),
    /// A length, and as many elements.
    Seq(NodeId),
    /// A length, and as many pairs of a key and a value.
    Map(NodeId, NodeId),
    /// Elements one after the other.
    Tuple(Vec<NodeId>),
    /// A tuple of two or more elements of one type: how many, and which.
    Array(u32, NodeId),
    /// Fields one after the other.
    Struct(Vec<Member>),
    /// The number of a variant, and its content: unit, a tuple, a struct, or what a newtype variant
    /// holds.
    Enum(Vec<Member>),
}

/// A parameter, a field or a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name, and its aliases, as `Deserialize` names them. Which of them is written is unknown.
    pub(crate) names: Vec<Cow<'static, str>>,
    /// What it holds.
    pub(crate) node: NodeId,
}

impl Member {
    /// One that has a single name.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, node: NodeId) -> Self {
        Self { names: vec![name.into()], node }
    }

    /// Whether it goes by this name, or has it as an alias.
    #[inline]
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|one| one == name)
    }
}

/// The type of a value without parts. The number of each is a part of the stored form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Leaf {
    Unit = 0,
    Bool = 1,
    I8 = 2,
    I16 = 3,
    I32 = 4,
    I64 = 5,
    I128 = 6,
    U8 = 7,
    U16 = 8,
    U32 = 9,
    U64 = 10,
    U128 = 11,
    F32 = 12,
    F64 = 13,
    Char = 14,
    String = 15,
    Bytes = 16,
}

impl Leaf {
    /// All of them, each at the position of its number, and how a reader sees it.
    const ALL: [(Self, &'static str); 17] = [
        (Self::Unit, "()"),
        (Self::Bool, "bool"),
        (Self::I8, "i8"),
        (Self::I16, "i16"),
        (Self::I32, "i32"),
        (Self::I64, "i64"),
        (Self::I128, "i128"),
        (Self::U8, "u8"),
        (Self::U16, "u16"),
        (Self::U32, "u32"),
        (Self::U64, "u64"),
        (Self::U128, "u128"),
        (Self::F32, "f32"),
        (Self::F64, "f64"),
        (Self::Char, "char"),
        (Self::String, "String"),
        (Self::Bytes, "bytes"),
    ];

    /// How many there are: numbers from here on stand for nodes with parts.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// The leaf of this number.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).map(|(leaf, _)| *leaf)
    }

    /// The leaf of this name in the readable form, but for the unit.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(leaf, _)| *leaf)
    }

    /// Its name in the readable form.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl Node {
    /// The nodes that it refers to, in order.
    pub(crate) fn children(&self) -> impl Iterator<Item = NodeId> + '_ {
        let (pair, ids, members): (_, &[NodeId], &[Member]) = match self {
            Self::Leaf(_) => ([None, None], &[], &[]),
            Self::Option(one) | Self::Seq(one) | Self::Array(_, one) => {
                ([Some(*one), None], &[], &[])
            }
            Self::Map(key, value) => ([Some(*key), Some(*value)], &[], &[]),
            Self::Tuple(ids) => ([None, None], ids, &[]),
            Self::Struct(members) | Self::Enum(members) => ([None, None], &[], members),
        };
        let members = members.iter().map(|member| member.node);
        pair.into_iter().flatten().chain(ids.iter().copied()).chain(members)
    }

    /// The same node with other references.
    pub(crate) fn map(&self, mut to: impl FnMut(NodeId) -> NodeId) -> Self {
        let mut members = |members: &[Member]| {
            let member =
                |member: &Member| Member { names: member.names.clone(), node: to(member.node) };
            members.iter().map(member).collect()
        };
        match self {
            Self::Struct(fields) => Self::Struct(members(fields)),
            Self::Enum(variants) => Self::Enum(members(variants)),
            Self::Leaf(leaf) => Self::Leaf(*leaf),
            Self::Option(one) => Self::Option(to(*one)),
            Self::Seq(one) => Self::Seq(to(*one)),
            Self::Array(len, one) => Self::Array(*len, to(*one)),
            Self::Map(key, value) => {
                let key = to(*key);
                Self::Map(key, to(*value))
            }
            Self::Tuple(ids) => Self::Tuple(ids.iter().map(|id| to(*id)).collect()),
        }
    }

    /// Whether a value holds a value of each child, with nothing between them that could end a
    /// recursion.
    pub(crate) fn is_product(&self) -> bool {
        matches!(self, Self::Tuple(_) | Self::Array(..) | Self::Struct(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_stand_at_their_numbers() {
        for (number, (leaf, _)) in Leaf::ALL.iter().enumerate() {
            assert_eq!(*leaf as usize, number);
            assert_eq!(Leaf::of_number(number as u8), Some(*leaf));
        }
        assert_eq!(Leaf::of_number(Leaf::COUNT as u8), None);
    }
}
