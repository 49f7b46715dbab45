//! Generates pairs of types, before and after edits, from a seed: each edit in each context.

mod context;
mod edit;
mod kind;
mod maker;
mod members;
mod random;
mod types;

use std::path::Path;

use crate::context::Context;
use crate::edit::Edit;
use crate::kind::{Both, Kind};
use crate::maker::{Content, Field, Maker, Variant};
use crate::members::Members;
use crate::random::Random;

/// Change it for other pairs.
const SEED: u64 = 2_026;

fn main() {
    println!("cargo::rerun-if-changed=generator");
    let out = std::env::var_os("OUT_DIR").expect("cargo says where");
    std::fs::write(Path::new(&out).join("pairs.rs"), pairs(SEED)).expect("a file");
}

/// The source of all pairs.
fn pairs(seed: u64) -> String {
    let mut random = Random::new(seed);
    let (mut modules, mut list, mut number) = (String::new(), String::new(), 0);
    for edit in Edit::ALL {
        for (context, around) in Context::EACH {
            let mut edits = vec![*edit];
            let mut maker = Maker::new(&mut random);
            let it = pair(*context, &mut edits, &mut maker);
            modules += &module(number, &maker.before, &maker.after, &it);
            let it = Both {
                before: Kind::new(format!("p{number}::before::Root"), it.before.schema),
                after: Kind::new(format!("p{number}::after::Root"), it.after.schema),
            };
            list += &entry(number, &edits, &it);
            // The same types in another one: this takes the compiler less time than types anew.
            let it = around.around(&mut maker, &[it]);
            list += &entry(number + 1, &edits, &it);
            number += 2;
        }
    }
    format!(
        "use crate::edit::Edit::*;\nuse crate::types::*;\n\n/// All pairs.\n\
         pub(crate) const PAIRS: &[Pair] = &[\n{list}];\n\n{modules}"
    )
}

/// The module of a pair, given its definitions.
fn module(number: usize, before: &str, after: &str, it: &Both) -> String {
    let side = |name: &str, definitions: &str, root: &str| {
        format!(
            "    pub(crate) mod {name} {{\n        use crate::types::*;\n{definitions}        \
             pub(crate) type Root = {root};\n    }}\n"
        )
    };
    let before = side("before", before, &it.before.source);
    let after = side("after", after, &it.after.source);
    format!("mod p{number} {{\n{before}{after}}}\n")
}

/// The entry of a pair in the list.
fn entry(number: usize, edits: &[Edit], it: &Both) -> String {
    let types = format!("<{}, {}>", it.before.source, it.after.source);
    let (before, after) = (&it.before.schema, &it.after.schema);
    if before == after {
        return format!("    Pair::same::{types}({number}, &{edits:?}, \"(p: {before})\"),\n");
    }
    format!("    Pair::of::{types}({number}, &{edits:?}, \"(p: {before})\", \"(p: {after})\"),\n")
}

/// A type with an edit in a context, and with up to two more edits.
fn pair(context: Context, edits: &mut Vec<Edit>, maker: &mut Maker<'_>) -> Both {
    let mut its = vec![subject(context, edits, maker)];
    if edits.len() == 1 && maker.random.once_in(4) {
        // Another one beside it.
        let mut more = vec![maker.random.pick(Edit::ALL)];
        its.push(subject(context, &mut more, maker));
        edits.append(&mut more);
    }
    let mut it = context.around(maker, &its);
    if maker.random.once_in(3) {
        let around = maker.random.pick(Context::MORE);
        it = around.around(maker, &[it]);
    }
    it
}

/// A type with the first of the edits and perhaps others, which are added.
fn subject(context: Context, edits: &mut Vec<Edit>, maker: &mut Maker<'_>) -> Both {
    if let Some(both) = types::edited(edits[0], maker) {
        return both;
    }
    let count = 3 + maker.random.below(2);
    let mut fields = Members::new(maker.fields(count), 0);
    if fields.edit(edits[0], maker) {
        if !fields.is_used_up() && maker.random.once_in(4) {
            let more = maker.random.pick(Edit::ALL);
            if fields.edit(more, maker) {
                edits.push(more);
            }
        }
        return structure(context, &fields, maker);
    }
    let mut variants = Members::new(variants(maker), 1);
    assert!(variants.edit(edits[0], maker), "{:?} is an edit of something", edits[0]);
    if !variants.is_used_up() && maker.random.once_in(4) {
        let more = maker.random.pick(Edit::ALL);
        if variants.edit(more, maker) {
            edits.push(more);
        }
    }
    maker.enumeration(&variants.before, &variants.after)
}

/// A struct, or a variant with the same fields.
fn structure(context: Context, fields: &Members<Field>, maker: &mut Maker<'_>) -> Both {
    if context != Context::Variant || maker.random.once_in(2) {
        return maker.structure(&fields.before, &fields.after);
    }
    let [before, after] = [&fields.before, &fields.after].map(|fields| {
        [Variant::new("V0", Content::Unit), Variant::new("V1", Content::Struct(fields.clone()))]
    });
    maker.enumeration(&before, &after)
}

/// Variants of all sorts, the first without content: it ends a recursion.
fn variants(maker: &mut Maker<'_>) -> Vec<Variant> {
    let mut contents = vec![Content::Unit, Content::Unit];
    contents.push(match maker.random.below(3) {
        0 => Content::Newtype(maker.plain()),
        1 => Content::Tuple(vec![maker.leaf(), maker.leaf()]),
        _ => Content::Struct(maker.fields(2)),
    });
    contents.push(Content::Newtype(maker.leaf()));
    contents.push(Content::Unit);
    let variant = |(at, content)| Variant::new(format!("V{at}"), content);
    contents.into_iter().enumerate().map(variant).collect()
}
