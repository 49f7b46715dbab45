//! Edits that put another type in the place of one.

use crate::edit::Edit;
use crate::kind::{Both, Kind};
use crate::maker::{Content, Field, Maker, Side, Variant};

const WIDENED: &[(&str, &str)] = &[
    ("u8", "u16"),
    ("u8", "u64"),
    ("u16", "u32"),
    ("u32", "u64"),
    ("u32", "i64"),
    ("u64", "u128"),
    ("u64", "i128"),
    ("i8", "i16"),
    ("i16", "i64"),
    ("i32", "i64"),
    ("i64", "i128"),
    ("u8", "i32"),
];
const SIGNS: &[(&str, &str)] =
    &[("u8", "i8"), ("i16", "u16"), ("u32", "i32"), ("i64", "u64"), ("u64", "i64")];
const EXACT: &[(&str, &str)] =
    &[("u8", "f32"), ("i16", "f32"), ("u32", "f64"), ("i32", "f64"), ("u16", "f64")];
const ROUNDED: &[(&str, &str)] =
    &[("u64", "f64"), ("i64", "f64"), ("u32", "f32"), ("i32", "f32"), ("u64", "f32")];
const CUT: &[(&str, &str)] = &[("f64", "i64"), ("f32", "u8"), ("f64", "u32")];
const TRUTHS: &[(&str, &str)] = &[("bool", "u8"), ("u8", "bool"), ("i32", "bool")];
const TEXTS: &[(&str, &str)] =
    &[("u32", "String"), ("String", "u32"), ("bool", "String"), ("String", "f64")];
const KEYS: &[(&str, &str)] = &[("u8", "u32"), ("i16", "i64"), ("u32", "i64")];
const INTEGERS: &[&str] = &["u8", "i16", "u32", "i64", "u64"];

/// A type and what an edit makes of it; `None` if the edit is one of members.
pub(crate) fn edited(edit: Edit, maker: &mut Maker<'_>) -> Option<Both> {
    leaf(edit, maker).or_else(|| around(edit, maker)).or_else(|| parts(edit, maker))
}

fn leaf(edit: Edit, maker: &mut Maker<'_>) -> Option<Both> {
    let from = match edit {
        Edit::Widened | Edit::Narrowed => WIDENED,
        Edit::SignChanged => SIGNS,
        Edit::IntegerToExactFloat => EXACT,
        Edit::IntegerToFloat => ROUNDED,
        Edit::SingleToDouble | Edit::DoubleToSingle => &[("f32", "f64")],
        Edit::FloatToInteger => CUT,
        Edit::BoolAndInteger => TRUTHS,
        Edit::NumberAndText => TEXTS,
        Edit::CharToText | Edit::TextToChar => &[("char", "String")],
        _ => return None,
    };
    let (before, after) = maker.random.pick(from);
    let is_back = matches!(edit, Edit::Narrowed | Edit::DoubleToSingle | Edit::TextToChar);
    let both = Both { before: Kind::leaf(before), after: Kind::leaf(after) };
    Some(if is_back { reversed(both) } else { both })
}

fn reversed(Both { before, after }: Both) -> Both {
    Both { before: after, after: before }
}

fn around(edit: Edit, maker: &mut Maker<'_>) -> Option<Both> {
    // No unit: that it is none is an edit of its own.
    let it = Kind::leaf(maker.random.pick(&["u8", "u32", "i64", "String", "f64", "bool"]));
    let to = |after: Kind| Both { before: it.clone(), after };
    Some(match edit {
        Edit::OptionAdded => to(it.option()),
        Edit::OptionRemoved => reversed(to(it.option())),
        Edit::OptionDoubled => Both { before: it.option(), after: it.option().option() },
        Edit::OptionUndoubled => Both { before: it.option().option(), after: it.option() },
        Edit::UnitToOption => Both { before: Kind::leaf("()"), after: it.option() },
        Edit::Boxed => to(it.boxed()),
        Edit::Unboxed => reversed(to(it.boxed())),
        Edit::NewtypeAdded => {
            let newtype = maker.wrapper(&Both::same(it.clone()), |it| format!("({it});"));
            to(newtype.after)
        }
        Edit::NewtypeRemoved => {
            let newtype = maker.wrapper(&Both::same(it.clone()), |it| format!("({it});"));
            Both { before: newtype.before, after: it }
        }
        Edit::MadeGeneric => made_generic(it, maker),
        Edit::OneToSequence => to(it.seq()),
        Edit::SequenceToOne => reversed(to(it.seq())),
        _ => return None,
    })
}

fn made_generic(it: Kind, maker: &mut Maker<'_>) -> Both {
    let number = maker.number();
    let fields = |of: Kind| [Field::new("f0", of.clone()), Field::new("f1", of.seq())];
    let before = maker.structure_of(Side::Before, number, &fields(it.clone()));
    maker.define(Side::After, &format!("struct D{number}<T> {{ f0: T, f1: Vec<T> }}"));
    let after = Kind::new(format!("D{number}<{}>", it.source), before.schema.clone());
    Both { before, after }
}

fn parts(edit: Edit, maker: &mut Maker<'_>) -> Option<Both> {
    let kinds = [maker.leaf(), maker.leaf()];
    let tuple = Kind::tuple(&kinds);
    let more = Kind::tuple(&[&kinds[..], &[maker.leaf()]].concat());
    let it = kinds[0].clone();
    Some(match edit {
        Edit::TupleToStruct => Both { before: tuple, after: structure(maker, Side::After, &kinds) },
        Edit::StructToTuple => {
            Both { before: structure(maker, Side::Before, &kinds), after: tuple }
        }
        Edit::TupleToTupleStruct => {
            Both { before: tuple, after: tuple_struct(maker, Side::After, &kinds) }
        }
        Edit::TupleStructToTuple => {
            Both { before: tuple_struct(maker, Side::Before, &kinds), after: tuple }
        }
        Edit::TupleExtended => Both { before: tuple, after: more },
        Edit::TupleShortened => Both { before: more, after: tuple },
        Edit::TupleToArray => {
            Both { before: Kind::tuple(&[it.clone(), it.clone()]), after: it.array(2) }
        }
        Edit::ArrayExtended => Both { before: it.array(2), after: it.array(3) },
        Edit::ArrayToSequence => Both { before: it.array(2), after: it.seq() },
        Edit::SequenceToArray => Both { before: it.seq(), after: it.array(2) },
        Edit::SequenceToTuple => Both { before: it.seq(), after: Kind::tuple(&[it.clone(), it]) },
        _ => return maps(edit, maker, it),
    })
}

fn maps(edit: Edit, maker: &mut Maker<'_>, it: Kind) -> Option<Both> {
    let map = maker.map_type();
    let keyed = |(before, after): (&str, &str)| Both {
        before: it.map(map, &Kind::leaf(before)),
        after: it.map(map, &Kind::leaf(after)),
    };
    let integer = maker.random.pick(INTEGERS);
    Some(match edit {
        Edit::KeysWidened => keyed(maker.random.pick(KEYS)),
        Edit::KeysNarrowed => reversed(keyed(maker.random.pick(KEYS))),
        Edit::KeysToText => keyed((integer, "String")),
        Edit::TextToKeys => keyed(("String", integer)),
        Edit::OtherMap => {
            let key = maker.key();
            let both = Both { before: it.map("BTreeMap", &key), after: it.map("Table", &key) };
            if maker.random.once_in(2) { both } else { reversed(both) }
        }
        Edit::MapToStruct => Both {
            before: it.map(map, &Kind::leaf("String")),
            after: defaults(maker, Side::After, &it),
        },
        Edit::StructToMap => {
            let before = structure(maker, Side::Before, &[it.clone(), it.clone()]);
            Both { before, after: it.map(map, &Kind::leaf("String")) }
        }
        Edit::PairsToMap => {
            let key = maker.key();
            Both { before: Kind::tuple(&[key.clone(), it.clone()]).seq(), after: it.map(map, &key) }
        }
        Edit::TextToVariant => {
            Both { before: Kind::leaf("String"), after: words(maker, Side::After) }
        }
        Edit::VariantToText => {
            Both { before: words(maker, Side::Before), after: Kind::leaf("String") }
        }
        Edit::StructToEnum => {
            let fields = [Field::new("f0", it.clone())];
            let before = structure(maker, Side::Before, &[it]);
            let number = maker.number();
            let one = Variant::new("V0", Content::Struct(fields.to_vec()));
            Both { before, after: maker.enumeration_of(Side::After, number, &[one]) }
        }
        _ => return None,
    })
}

fn structure(maker: &mut Maker<'_>, side: Side, kinds: &[Kind]) -> Kind {
    let field = |(at, kind): (usize, &Kind)| Field::new(format!("f{at}"), kind.clone());
    let fields: Vec<_> = kinds.iter().enumerate().map(field).collect();
    let number = maker.number();
    maker.structure_of(side, number, &fields)
}

/// A struct whose fields may all be missing: names of what a map may hold.
fn defaults(maker: &mut Maker<'_>, side: Side, it: &Kind) -> Kind {
    let field = |name: &str| Field { has_default: true, ..Field::new(name, it.clone()) };
    let number = maker.number();
    maker.structure_of(side, number, &[field("a"), field("ab")])
}

fn tuple_struct(maker: &mut Maker<'_>, side: Side, kinds: &[Kind]) -> Kind {
    let Kind { source, schema, .. } = Kind::tuple(kinds);
    let number = maker.number();
    maker.define(side, &format!("struct D{number}{source};"));
    Kind::new(format!("D{number}"), schema)
}

/// An enum whose variants are words that texts may be.
fn words(maker: &mut Maker<'_>, side: Side) -> Kind {
    let variant = |name: &str| {
        let mut variant = Variant::new(name, Content::Unit);
        variant.names = vec![name.to_lowercase()];
        variant
    };
    let number = maker.number();
    maker.enumeration_of(side, number, &["A", "Ab"].map(variant))
}
