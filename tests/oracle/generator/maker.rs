//! Makes types, and writes the definitions of those that have names.

use std::fmt::Write;

use crate::kind::{Both, Kind};
use crate::random::Random;

/// Which program a definition belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// A field of a struct or of a variant.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Its name in Rust.
    pub(crate) rust: String,
    /// Its name in payloads, and its aliases.
    pub(crate) names: Vec<String>,
    pub(crate) has_default: bool,
    pub(crate) of: Kind,
}

impl Field {
    pub(crate) fn new(name: impl Into<String>, of: Kind) -> Self {
        let rust = name.into();
        Self { names: vec![rust.clone()], rust, has_default: false, of }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) rust: String,
    pub(crate) names: Vec<String>,
    pub(crate) is_other: bool,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Unit,
    Newtype(Kind),
    /// Two or more.
    Tuple(Vec<Kind>),
    Struct(Vec<Field>),
}

impl Variant {
    pub(crate) fn new(name: impl Into<String>, content: Content) -> Self {
        let rust = name.into();
        Self { names: vec![rust.clone()], rust, is_other: false, content }
    }
}

/// The definitions of a pair of types, as far as it is made.
#[derive(Debug)]
pub(crate) struct Maker<'r> {
    pub(crate) random: &'r mut Random,
    pub(crate) before: String,
    pub(crate) after: String,
    next: usize,
}

const LEAVES: &[&str] = &[
    "bool", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "char", "String",
    "String", "u32", "()",
];
const KEYS: &[&str] = &["String", "String", "u8", "i16", "u32", "i64", "char"];
const MAPS: &[&str] = &["BTreeMap", "BTreeMap", "Table"];

impl<'r> Maker<'r> {
    pub(crate) fn new(random: &'r mut Random) -> Self {
        Self { random, before: String::new(), after: String::new(), next: 0 }
    }

    /// A number for a definition: the same on both sides, where it has both.
    pub(crate) fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    pub(crate) fn leaf(&mut self) -> Kind {
        if self.random.once_in(40) {
            return Kind::leaf(self.random.pick(&["u128", "i128"]));
        }
        Kind::leaf(self.random.pick(LEAVES))
    }

    pub(crate) fn key(&mut self) -> Kind {
        Kind::leaf(self.random.pick(KEYS))
    }

    pub(crate) fn map_type(&mut self) -> &'static str {
        self.random.pick(MAPS)
    }

    /// A small type without names of its own.
    pub(crate) fn plain(&mut self) -> Kind {
        let leaf = self.leaf();
        match self.random.below(10) {
            0 => leaf.option(),
            1 => leaf.seq(),
            2 => Kind::tuple(&[leaf, self.leaf()]),
            3 => leaf.array(3),
            4 => leaf.map(self.map_type(), &self.key()),
            _ => leaf,
        }
    }

    pub(crate) fn fields(&mut self, count: usize) -> Vec<Field> {
        (0..count).map(|at| Field::new(format!("f{at}"), self.plain())).collect()
    }

    /// A struct with these fields.
    pub(crate) fn structure(&mut self, before: &[Field], after: &[Field]) -> Both {
        let number = self.number();
        Both {
            before: self.structure_of(Side::Before, number, before),
            after: self.structure_of(Side::After, number, after),
        }
    }

    pub(crate) fn structure_of(&mut self, side: Side, number: usize, fields: &[Field]) -> Kind {
        self.define(side, &format!("struct D{number} {{ {} }}", sources(fields)));
        Kind::new(format!("D{number}"), format!("{{{}}}", schemas(fields)))
    }

    pub(crate) fn enumeration(&mut self, before: &[Variant], after: &[Variant]) -> Both {
        let number = self.number();
        Both {
            before: self.enumeration_of(Side::Before, number, before),
            after: self.enumeration_of(Side::After, number, after),
        }
    }

    pub(crate) fn enumeration_of(
        &mut self,
        side: Side,
        number: usize,
        variants: &[Variant],
    ) -> Kind {
        let sources: String = variants.iter().map(variant_source).collect();
        let schemas: Vec<_> = variants.iter().map(variant_schema).collect();
        self.define(side, &format!("enum D{number} {{ {sources}}}"));
        Kind::new(format!("D{number}"), format!("enum {{{}}}", schemas.join(", ")))
    }

    /// Writes a definition without what stands before its keyword.
    pub(crate) fn define(&mut self, side: Side, definition: &str) {
        let (out, derived) = match side {
            Side::Before => (&mut self.before, "Debug, Serialize, Deserialize"),
            Side::After => (&mut self.after, "Debug, Deserialize"),
        };
        let _ = writeln!(out, "        #[derive({derived})] pub(crate) {definition}");
    }

    /// A struct around a type, with a name of its own.
    pub(crate) fn wrapper(&mut self, it: &Both, definition: impl Fn(&str) -> String) -> Both {
        let number = self.number();
        let name = format!("D{number}");
        for (side, kind) in [(Side::Before, &it.before), (Side::After, &it.after)] {
            self.define(side, &format!("struct {name}{}", definition(&kind.source)));
        }
        it.map(|kind| Kind::new(name.clone(), kind.schema.clone()))
    }
}

/// A field's or a variant's attribute, if it needs one.
fn attribute(rust: &str, names: &[String], word: Option<&str>) -> String {
    let mut parts: Vec<String> = word.map(str::to_owned).into_iter().collect();
    if names[0] != rust {
        parts.push(format!("rename = {:?}", names[0]));
    }
    parts.extend(names[1..].iter().map(|alias| format!("alias = {alias:?}")));
    if parts.is_empty() { String::new() } else { format!("#[serde({})] ", parts.join(", ")) }
}

fn sources(fields: &[Field]) -> String {
    let source = |field: &Field| {
        let word = field.has_default.then_some("default");
        let attribute = attribute(&field.rust, &field.names, word);
        format!("{attribute}{}: {}", field.rust, field.of.source)
    };
    fields.iter().map(source).collect::<Vec<_>>().join(", ")
}

fn schemas(fields: &[Field]) -> String {
    let schema = |field: &Field| format!("{}: {}", names(&field.names), field.of.schema);
    fields.iter().map(schema).collect::<Vec<_>>().join(", ")
}

/// The names as serde's derive has them.
fn names(names: &[String]) -> String {
    let mut sorted = names.to_vec();
    sorted.sort();
    sorted.join("|")
}

fn variant_source(variant: &Variant) -> String {
    let word = variant.is_other.then_some("other");
    let attribute = attribute(&variant.rust, &variant.names, word);
    let list = |kinds: &[Kind]| {
        kinds.iter().map(|kind| kind.source.clone()).collect::<Vec<_>>().join(", ")
    };
    let content = match &variant.content {
        Content::Unit => String::new(),
        Content::Newtype(kind) => format!("({})", kind.source),
        Content::Tuple(kinds) => format!("({})", list(kinds)),
        Content::Struct(fields) => format!(" {{ {} }}", sources(fields)),
    };
    format!("{attribute}{}{content}, ", variant.rust)
}

fn variant_schema(variant: &Variant) -> String {
    let content = match &variant.content {
        Content::Unit => String::new(),
        Content::Newtype(kind) => held(kind),
        Content::Tuple(kinds) => held(&Kind::tuple(kinds)),
        Content::Struct(fields) => format!(" {{{}}}", schemas(fields)),
    };
    format!("{}{content}", names(&variant.names))
}

/// What a newtype variant holds: a unit, a tuple or a struct is no other than a content of that
/// form.
fn held(kind: &Kind) -> String {
    match &*kind.schema {
        "()" => String::new(),
        schema if schema.starts_with('(') => schema.to_owned(),
        schema if schema.starts_with('{') => format!(" {schema}"),
        schema => format!("({schema})"),
    }
}
