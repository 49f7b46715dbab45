//! The walk over the values of a payload: writes each in its canonical form.

use crate::payload::resolve::{Cursor, Failure, Ignores, Reason};
use crate::payload::schema::Schema;
use crate::payload::schema::node::{Leaf, MAX_DEPTH, Member, Node, NodeId};

static NO_IGNORES: Ignores = Ignores::NONE;

/// What a canonical value begins with. `None` and the unit are absent; what an option holds is
/// written as if there were no option.
const ABSENT: u8 = 0;
const BOOL: u8 = 1;
const NUMBER: u8 = 2;
const FLOAT: u8 = 3;
const TEXT: u8 = 4;
const BYTES: u8 = 5;
const ELEMENTS: u8 = 6;
const FIELDS: u8 = 7;
const VARIANT: u8 = 8;
const ENTRIES: u8 = 9;

/// Whether a canonical value is `None` or the unit.
pub(super) fn is_absent(value: &[u8]) -> bool {
    value == [ABSENT]
}

/// A payload of which a part has been read.
pub(super) struct Walk<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(schema: &'a Schema, payload: &'a [u8]) -> Self {
        let graph = (schema.nodes(), schema.emptiness());
        Self { cursor: Cursor::new(graph, &NO_IGNORES, payload) }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.cursor.input.rest.len()
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, id: NodeId) -> Result<(), Failure> {
        self.cursor.skip(id)
    }

    /// Reads a value; returns its canonical form.
    pub(super) fn value(&mut self, id: NodeId) -> Result<Vec<u8>, Failure> {
        let mut value = Vec::new();
        self.put(&mut value, id, 0)?;
        Ok(value)
    }

    fn put(&mut self, out: &mut Vec<u8>, id: NodeId, depth: u8) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(Reason::Deep.into());
        }
        let depth = depth + 1;
        match self.cursor.begin(id)? {
            Node::Leaf(leaf) => self.leaf(out, *leaf),
            Node::Option(one) => match self.cursor.input.flag()? {
                true => self.put(out, *one, depth),
                false => {
                    out.push(ABSENT);
                    Ok(())
                }
            },
            Node::Seq(one) => {
                let len = self.cursor.len(self.cursor.is_empty(*one))?;
                self.elements(out, (0..len).map(|_| *one), depth)
            }
            Node::Array(len, one) => self.elements(out, (0..*len).map(|_| *one), depth),
            Node::Tuple(ids) => self.elements(out, ids.iter().copied(), depth),
            Node::Map(key, value) => self.entries(out, (*key, *value), depth),
            Node::Struct(fields) => self.fields(out, fields, depth),
            Node::Enum(variants) => self.variant(out, variants, depth),
        }
    }

    /// Elements in their order: a sequence, an array or a tuple.
    fn elements(
        &mut self,
        out: &mut Vec<u8>,
        ids: impl ExactSizeIterator<Item = NodeId>,
        depth: u8,
    ) -> Result<(), Failure> {
        out.push(ELEMENTS);
        put_len(out, ids.len());
        for id in ids {
            self.put(out, id, depth)?;
        }
        Ok(())
    }

    /// Entries of a map, in the order of their canonical keys.
    fn entries(
        &mut self,
        out: &mut Vec<u8>,
        (key, value): (NodeId, NodeId),
        depth: u8,
    ) -> Result<(), Failure> {
        let len = self.cursor.len(self.cursor.is_empty(key) && self.cursor.is_empty(value))?;
        let mut entries = Vec::new();
        for _ in 0..len {
            let mut entry = Vec::new();
            self.put(&mut entry, key, depth)?;
            self.put(&mut entry, value, depth)?;
            entries.push(entry);
        }
        entries.sort_unstable();
        out.push(ENTRIES);
        put_len(out, len);
        out.extend(entries.concat());
        Ok(())
    }

    /// Fields that are not absent, in the order of their names.
    fn fields(
        &mut self,
        out: &mut Vec<u8>,
        members: &'a [Member],
        depth: u8,
    ) -> Result<(), Failure> {
        let mut fields = Vec::new();
        for member in members {
            let mut value = Vec::new();
            self.put(&mut value, member.node, depth)?;
            if !is_absent(&value) {
                fields.push((first_name(member), value));
            }
        }
        fields.sort_unstable();
        out.push(FIELDS);
        put_len(out, fields.len());
        for (name, value) in fields {
            put_text(out, name);
            out.extend(value);
        }
        Ok(())
    }

    /// A variant by its name, and what it holds.
    fn variant(
        &mut self,
        out: &mut Vec<u8>,
        variants: &'a [Member],
        depth: u8,
    ) -> Result<(), Failure> {
        let number = usize::try_from(self.cursor.input.unsigned()?).ok();
        let variant = number.and_then(|number| variants.get(number)).ok_or(Reason::Corrupt)?;
        out.push(VARIANT);
        put_text(out, first_name(variant));
        self.put(out, variant.node, depth)
    }

    fn leaf(&mut self, out: &mut Vec<u8>, leaf: Leaf) -> Result<(), Failure> {
        let input = &mut self.cursor.input;
        match leaf {
            Leaf::Unit => out.push(ABSENT),
            Leaf::Bool => out.extend([BOOL, u8::from(input.flag()?)]),
            Leaf::F32 => put_float(out, input.f32()?.into()),
            Leaf::F64 => put_float(out, input.f64()?),
            Leaf::Char | Leaf::String => {
                out.push(TEXT);
                put_text(out, input.text()?);
            }
            Leaf::Bytes => {
                let bytes = input.bytes()?;
                out.push(BYTES);
                put_len(out, bytes.len());
                out.extend(bytes);
            }
            leaf => {
                let number = input.number(leaf)?.ok_or(Reason::Corrupt)?;
                out.push(NUMBER);
                put_text(out, &number.to_string());
            }
        }
        Ok(())
    }
}

/// The name under which a member counts.
pub(super) fn first_name(member: &Member) -> &str {
    member.names.first().map_or("", |name| name)
}

/// Adds a text and its length, so that it cannot run into what follows.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend(text.as_bytes());
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend((len as u64).to_be_bytes());
}

/// A number with a point: one form for all zeros, and one for all that are no number.
fn put_float(out: &mut Vec<u8>, number: f64) {
    let number = match number {
        number if number.is_nan() => f64::NAN,
        0.0 => 0.0,
        number => number,
    };
    out.push(FLOAT);
    out.extend(number.to_bits().to_be_bytes());
}
