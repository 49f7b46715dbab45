//! Where an edited type stands.

use crate::kind::{Both, Kind};
use crate::maker::{Content, Field, Maker, Side, Variant};

/// What is around an edited type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    Alone,
    Struct,
    Variant,
    Option,
    Sequence,
    Map,
    Tuple,
    Newtype,
    Generic,
    Recursive,
}

impl Context {
    /// Those in which every edit stands, each with one that stands around it in another pair.
    pub(crate) const EACH: &[(Self, Self)] =
        &[(Self::Alone, Self::Option), (Self::Struct, Self::Sequence), (Self::Variant, Self::Map)];
    /// Those that may stand around these.
    pub(crate) const MORE: &[Self] = &[
        Self::Struct,
        Self::Variant,
        Self::Option,
        Self::Sequence,
        Self::Map,
        Self::Tuple,
        Self::Newtype,
        Self::Generic,
        Self::Recursive,
    ];

    /// The types `its` in this context. Where there are several, it is one that holds all of them.
    pub(crate) fn around(self, maker: &mut Maker<'_>, its: &[Both]) -> Both {
        let [it] = its else { return structure(maker, its) };
        match self {
            Self::Alone => it.clone(),
            Self::Struct => structure(maker, its),
            Self::Variant => variant(maker, it),
            Self::Option => it.map(|it| it.option()),
            Self::Sequence => it.map(|it| it.seq()),
            Self::Map => {
                let (map, key) = (maker.map_type(), maker.key());
                it.map(|it| it.map(map, &key))
            }
            Self::Tuple => {
                let first = maker.plain();
                it.map(|it| Kind::tuple(&[first.clone(), it.clone()]))
            }
            Self::Newtype => maker.wrapper(it, |it| format!("({it});")),
            Self::Generic => generic(maker, it),
            Self::Recursive => recursive(maker, it),
        }
    }
}

/// A struct that holds these and a field more.
fn structure(maker: &mut Maker<'_>, its: &[Both]) -> Both {
    let field = |(at, kind)| Field::new(format!("f{at}"), kind);
    let its = its.iter().map(|it| (it.before.clone(), it.after.clone()));
    let (mut before, mut after): (Vec<_>, Vec<_>) = its.unzip();
    let (more, at) = (maker.plain(), maker.random.below(before.len() + 1));
    before.insert(at, more.clone());
    after.insert(at, more);
    let [before, after] =
        [before, after].map(|kinds| kinds.into_iter().enumerate().map(field).collect::<Vec<_>>());
    maker.structure(&before, &after)
}

fn variant(maker: &mut Maker<'_>, it: &Both) -> Both {
    let (more, form) = (maker.leaf(), maker.random.below(3));
    let [before, after] = [&it.before, &it.after].map(|it| {
        let content = match form {
            0 => Content::Newtype(it.clone()),
            1 => Content::Tuple(vec![more.clone(), it.clone()]),
            _ => {
                Content::Struct(vec![Field::new("f0", it.clone()), Field::new("f1", more.clone())])
            }
        };
        vec![
            Variant::new("V0", Content::Unit),
            Variant::new("V1", content),
            Variant::new("V2", Content::Newtype(more.clone())),
        ]
    });
    maker.enumeration(&before, &after)
}

fn generic(maker: &mut Maker<'_>, it: &Both) -> Both {
    let number = maker.number();
    for side in [Side::Before, Side::After] {
        maker.define(side, &format!("struct D{number}<T> {{ f0: u8, f1: T }}"));
    }
    it.map(|it| {
        let schema = format!("{{f0: u8, f1: {}}}", it.schema);
        Kind::new(format!("D{number}<{}>", it.source), schema)
    })
}

fn recursive(maker: &mut Maker<'_>, it: &Both) -> Both {
    let number = maker.number();
    let (wrapped, schema) = maker.random.pick(&[
        ("Option<Box<D#>>", "Option<#>"),
        ("Vec<D#>", "Vec<#>"),
        ("BTreeMap<u8, D#>", "Map<u8, #>"),
    ]);
    let source = wrapped.replace('#', &number.to_string());
    let schema = schema.replace('#', &format!("#{number}"));
    for (side, it) in [(Side::Before, &it.before), (Side::After, &it.after)] {
        maker.define(side, &format!("struct D{number} {{ f0: {}, f1: {source} }}", it.source));
    }
    it.map(|it| {
        let schema = format!("#{number} {{f0: {}, f1: {schema}}}", it.schema);
        Kind::new(format!("D{number}"), schema)
    })
}
