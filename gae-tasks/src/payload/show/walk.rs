//! The walk over a payload and the schema that it was written under.

use super::hidden::{Ahead, Part};
use super::json::Json;
use crate::payload::resolve::{Cursor, Failure, Ignores, Reason, Step};
use crate::payload::schema::Schema;
use crate::payload::schema::node::{Leaf, MAX_DEPTH, Member, Node, NodeId};

/// What stands in place of a hidden value.
const HIDDEN: &str = "(sensitive)";

static NO_IGNORES: Ignores = Ignores::NONE;

/// A payload of which a part has been shown.
pub(super) struct Walk<'a> {
    cursor: Cursor<'a>,
    json: Json,
}

impl<'a> Walk<'a> {
    pub(super) fn new(schema: &'a Schema, payload: &'a [u8], json: Json) -> Self {
        let graph = (schema.nodes(), schema.emptiness());
        Self { cursor: Cursor::new(graph, &NO_IGNORES, payload), json }
    }

    /// Ends the walk: what was written, and how many bytes are left.
    pub(super) fn end(self) -> (String, usize) {
        (self.json.into_text(), self.cursor.input.rest.len())
    }

    /// Shows parameters or fields as an object.
    pub(super) fn fields(
        &mut self,
        fields: &'a [Member],
        ahead: &Ahead<'_>,
        depth: u8,
    ) -> Result<(), Failure> {
        self.json.word("{")?;
        for (at, field) in fields.iter().enumerate() {
            self.separate(at)?;
            let name = first_name(field);
            self.json.text(name)?;
            self.json.word(":")?;
            self.part(ahead.member(&field.names), field.node, depth)
                .map_err(|failure| failure.within(Step::Field(name)))?;
        }
        self.json.word("}")
    }

    fn separate(&mut self, at: usize) -> Result<(), Failure> {
        if at > 0 { self.json.word(",") } else { Ok(()) }
    }

    fn part(&mut self, part: Part<'_>, id: NodeId, depth: u8) -> Result<(), Failure> {
        match part {
            Part::Shown(ahead) => self.value(id, &ahead, depth),
            Part::Hidden => {
                self.cursor.skip(id)?;
                self.json.text(HIDDEN)
            }
        }
    }

    fn value(&mut self, id: NodeId, ahead: &Ahead<'_>, depth: u8) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(Reason::Deep.into());
        }
        let depth = depth + 1;
        match self.cursor.begin(id)? {
            Node::Leaf(leaf) => self.leaf(*leaf, false),
            Node::Option(one) => match self.cursor.input.flag()? {
                true => self.value(*one, ahead, depth),
                false => self.json.word("null"),
            },
            Node::Seq(one) => {
                let len = self.cursor.len(self.cursor.is_empty(*one))?;
                self.repeated(len, *one, ahead, depth)
            }
            Node::Array(len, one) => self.repeated(*len as usize, *one, ahead, depth),
            Node::Map(key, value) => self.map(*key, *value, ahead, depth),
            Node::Tuple(ids) => self.tuple(ids, ahead, depth),
            Node::Struct(fields) => self.fields(fields, ahead, depth),
            Node::Enum(variants) => self.variant(variants, ahead, depth),
        }
    }

    fn repeated(
        &mut self,
        len: usize,
        one: NodeId,
        ahead: &Ahead<'_>,
        depth: u8,
    ) -> Result<(), Failure> {
        self.json.word("[")?;
        for at in 0..len {
            self.separate(at)?;
            self.value(one, ahead, depth).map_err(|failure| failure.within(Step::Element))?;
        }
        self.json.word("]")
    }

    fn tuple(&mut self, ids: &'a [NodeId], ahead: &Ahead<'_>, depth: u8) -> Result<(), Failure> {
        self.json.word("[")?;
        for (at, id) in ids.iter().enumerate() {
            self.separate(at)?;
            self.part(ahead.through(&[at.to_string()]), *id, depth)
                .map_err(|failure| failure.within(Step::Position(at)))?;
        }
        self.json.word("]")
    }

    fn variant(
        &mut self,
        variants: &'a [Member],
        ahead: &Ahead<'_>,
        depth: u8,
    ) -> Result<(), Failure> {
        let variant = self.number_of(variants)?;
        let name = first_name(variant);
        if matches!(self.cursor.node(variant.node), Node::Leaf(Leaf::Unit)) {
            return self.json.text(name);
        }
        self.json.word("{")?;
        self.json.text(name)?;
        self.json.word(":")?;
        self.part(ahead.through(&variant.names), variant.node, depth)
            .map_err(|failure| failure.within(Step::Variant(name)))?;
        self.json.word("}")
    }

    /// Reads which variant follows.
    fn number_of(&mut self, variants: &'a [Member]) -> Result<&'a Member, Failure> {
        let number = usize::try_from(self.cursor.input.unsigned()?).ok();
        number.and_then(|number| variants.get(number)).ok_or(Reason::Corrupt.into())
    }

    fn map(
        &mut self,
        key: NodeId,
        value: NodeId,
        ahead: &Ahead<'_>,
        depth: u8,
    ) -> Result<(), Failure> {
        let len = self.cursor.len(self.cursor.is_empty(key) && self.cursor.is_empty(value))?;
        let is_object = self.has_text(key);
        let [open, between, close] = if is_object { ["{", ":", "}"] } else { ["[", ",", "]"] };
        self.json.word(open)?;
        for at in 0..len {
            self.separate(at)?;
            let shown = if is_object { self.key(key) } else { self.first(key, ahead, depth) };
            shown.map_err(|failure| failure.within(Step::Key))?;
            self.json.word(between)?;
            self.value(value, ahead, depth).map_err(|failure| failure.within(Step::Value))?;
            if !is_object {
                self.json.word("]")?;
            }
        }
        self.json.word(close)
    }

    /// Shows the key of a pair.
    fn first(&mut self, key: NodeId, ahead: &Ahead<'_>, depth: u8) -> Result<(), Failure> {
        self.json.word("[")?;
        self.value(key, ahead, depth)
    }

    /// Whether keys of the node have a text that is not another key's.
    fn has_text(&self, key: NodeId) -> bool {
        let is_unit =
            |variant: &Member| matches!(self.cursor.node(variant.node), Node::Leaf(Leaf::Unit));
        match self.cursor.node(key) {
            Node::Leaf(leaf) => !matches!(leaf, Leaf::Unit | Leaf::F32 | Leaf::F64),
            Node::Enum(variants) => variants.iter().all(is_unit),
            _ => false,
        }
    }

    /// Shows a key that has a text.
    fn key(&mut self, key: NodeId) -> Result<(), Failure> {
        match self.cursor.begin(key)? {
            Node::Enum(variants) => {
                let variant = self.number_of(variants)?;
                self.json.text(first_name(variant))
            }
            Node::Leaf(leaf) => self.leaf(*leaf, true),
            _ => Err(Reason::Corrupt.into()),
        }
    }

    fn leaf(&mut self, leaf: Leaf, is_key: bool) -> Result<(), Failure> {
        let Self { cursor, json } = self;
        let input = &mut cursor.input;
        match leaf {
            Leaf::Unit => json.word("null"),
            Leaf::Bool => json.word(match (input.flag()?, is_key) {
                (false, false) => "false",
                (true, false) => "true",
                (false, true) => "\"false\"",
                (true, true) => "\"true\"",
            }),
            Leaf::F32 => json.float(input.f32()?),
            Leaf::F64 => json.float(input.f64()?),
            Leaf::Char => json.text(input.char()?.encode_utf8(&mut [0; 4])),
            Leaf::String => json.text(input.text()?),
            Leaf::Bytes => json.bytes(input.bytes()?),
            leaf => match input.number(leaf)? {
                Some(number) => json.number(number, is_key),
                None => Err(Reason::Corrupt.into()),
            },
        }
    }
}

/// The name under which a member is shown: the payload does not say which of them was written.
fn first_name(member: &Member) -> &str {
    member.names.first().map_or("", |name| name)
}
