//! Finds circles among files that use each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::uses::{Use, sources, uses};

/// Returns circles without a common use, the shortest first, each as the uses along it: one use of
/// each must go.
pub(crate) fn circles<'a>(uses: &'a [Use]) -> Vec<Vec<&'a Use>> {
    let mut of: BTreeMap<&str, Vec<&Use>> = BTreeMap::new();
    uses.iter().for_each(|one| of.entry(&one.from).or_default().push(one));
    let through = |first: &'a Use| {
        let mut circle = vec![first];
        circle.extend(way(&of, &first.to, &first.from)?);
        Some(circle)
    };
    let mut circles: Vec<_> = uses.iter().filter_map(through).collect();
    circles.sort_by_key(Vec::len);
    let mut listed = BTreeSet::new();
    circles.retain(|circle| {
        let is_new = circle.iter().all(|step| !listed.contains(step));
        listed.extend(circle.iter().copied());
        is_new
    });
    circles
}

/// Returns a shortest path from one file to another.
fn way<'a>(of: &BTreeMap<&str, Vec<&'a Use>>, from: &'a str, to: &str) -> Option<Vec<&'a Use>> {
    let mut by: BTreeMap<&str, Option<&Use>> = BTreeMap::from([(from, None)]);
    let mut next = VecDeque::from([from]);
    while let Some(file) = next.pop_front() {
        if file == to {
            let mut way = Vec::new();
            let mut last = by[file];
            while let Some(step) = last {
                way.push(step);
                last = by[step.from.as_str()];
            }
            way.reverse();
            return Some(way);
        }
        for step in of.get(file).into_iter().flatten() {
            if !by.contains_key(step.to.as_str()) {
                by.insert(&step.to, Some(step));
                next.push_back(&step.to);
            }
        }
    }
    None
}

/// Returns the circles among `files`, each as `file item file item ..`.
fn listed(files: &[(&str, &str)]) -> Vec<String> {
    let uses = uses(&sources(files));
    let listed = |circle: &Vec<&Use>| {
        circle.iter().map(|one| format!("{} {} ", one.from, one.item)).collect()
    };
    circles(&uses).iter().map(listed).collect()
}

#[test]
fn files_that_use_each_other_are_a_circle() {
    let lib = ("lib.rs", "mod a; mod b; mod c;");
    let two = [
        lib,
        ("a.rs", "use crate::b::B; struct A;"),
        ("b.rs", "struct B(crate::a::A);"),
        ("c.rs", "use crate::a::A;"),
    ];
    assert_eq!(listed(&two), ["a.rs crate::b::B b.rs crate::a::A "]);
    let c = ("c.rs", "use crate::a::A; struct C;");
    let three =
        [lib, ("a.rs", "use crate::b::B; struct A;"), ("b.rs", "struct B(crate::c::C);"), c];
    assert_eq!(listed(&three), ["a.rs crate::b::B b.rs crate::c::C c.rs crate::a::A "]);
    let none = [
        lib,
        ("a.rs", "use crate::b::B; use crate::c::C;"),
        ("b.rs", "struct B(crate::c::C);"),
        ("c.rs", "struct C;"),
    ];
    assert_eq!(listed(&none), [""; 0]);
}

#[test]
fn a_circle_within_a_module_is_one() {
    let x = ("x/mod.rs", "mod y; pub struct X; fn f() { y::call() }");
    let files = [("lib.rs", "mod x;"), x, ("x/y.rs", "use super::X; pub fn call() {}")];
    assert_eq!(listed(&files), ["x/mod.rs y::call x/y.rs super::X "]);
}

#[test]
fn a_circle_through_a_re_export_is_one() {
    let lib = ("lib.rs", "mod x; mod a; pub use x::Y;");
    let files = [
        lib,
        ("a.rs", "use crate::Y; pub struct A;"),
        ("x/mod.rs", "mod y; pub use y::Y;"),
        ("x/y.rs", "pub struct Y(crate::a::A);"),
    ];
    assert_eq!(listed(&files), ["a.rs crate::Y x/y.rs crate::a::A "]);
}

#[test]
fn a_declaration_and_a_re_export_are_no_arrow() {
    let x = ("x/mod.rs", "mod y; mod z; pub use y::Y; pub struct X;");
    let files = [
        ("lib.rs", "mod x;"),
        x,
        ("x/y.rs", "pub struct Y(super::X);"),
        ("x/z.rs", "struct Z(super::Y);"),
    ];
    assert_eq!(listed(&files), [""; 0]);
}

#[test]
fn circles_that_share_an_arrow_are_told_as_one() {
    let lib = ("lib.rs", "mod a; mod b; mod c;");
    let a = ("a.rs", "use crate::b::B; struct A;");
    let files = [
        lib,
        a,
        ("b.rs", "use crate::c::C; struct B(crate::a::A);"),
        ("c.rs", "struct C(crate::a::A);"),
    ];
    assert_eq!(listed(&files), ["a.rs crate::b::B b.rs crate::a::A "]);
}
