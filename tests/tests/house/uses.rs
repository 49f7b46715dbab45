//! The uses among the files of a crate: each path in the code, followed to the file that defines
//! the item.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use crate::code::{Code, Declared, Segments};

/// The sources of a crate: the path and the text of each file below `src`.
pub(crate) type Sources = BTreeMap<String, String>;

/// A use: the code of one file names an item of another file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The item's path, as written.
    pub(crate) item: String,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} names `{}` of {}", self.from, self.item, self.to)
    }
}

/// Returns all files below `folder`.
pub(crate) fn read(folder: &Path) -> Sources {
    let (mut sources, mut folders) = (Sources::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside =
                    path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
                sources.insert(inside, fs::read_to_string(&path).unwrap());
            }
        }
    }
    sources
}

/// Returns the uses among the modules below `lib.rs`, without tests; each file's use of another is
/// listed once.
///
/// Declarations (`mod x;`) and re-exports are not uses: a file that names a re-exported item uses
/// the file that defines the item. Method calls are not followed to the `impl` block.
pub(crate) fn uses(sources: &Sources) -> Vec<Use> {
    let tree = Tree::of(sources);
    let mut uses: Vec<_> =
        (0..tree.modules.len()).flat_map(|module| tree.uses_of(module)).collect();
    uses.sort();
    uses.dedup_by(|one, other| (&one.from, &one.to) == (&other.from, &other.to));
    uses
}

/// A module: a file, or a part of one in braces.
struct Module {
    file: String,
    parent: usize,
    code: Code,
    children: Vec<(String, usize)>,
}

/// The meaning of a name.
enum Meaning {
    Module,
    ItemOf(usize),
}

/// The modules of a crate; the first is its root.
struct Tree {
    modules: Vec<Module>,
}

impl Tree {
    fn of(sources: &Sources) -> Self {
        let mut tree = Self { modules: Vec::new() };
        tree.add(sources, "lib.rs", "", 0, &parse(sources, "lib.rs"));
        tree
    }

    /// Adds the module of `items`; the files of the modules in it are in `folder`.
    fn add(
        &mut self,
        sources: &Sources,
        file: &str,
        folder: &str,
        parent: usize,
        items: &[syn::Item],
    ) -> usize {
        let id = self.modules.len();
        let mut code = Code::of(items);
        let declared = std::mem::take(&mut code.modules);
        self.modules.push(Module { file: file.to_owned(), parent, code, children: Vec::new() });
        for Declared { name, path, items } in declared {
            let inside = format!("{folder}{name}/");
            let child = match items {
                Some(items) => self.add(sources, file, &inside, id, &items),
                None => {
                    let own = file_of(sources, file, folder, &name, path);
                    self.add(sources, &own, &inside, id, &parse(sources, &own))
                }
            };
            self.modules[id].children.push((name, child));
        }
        id
    }

    fn uses_of(&self, module: usize) -> Vec<Use> {
        let from = &self.modules[module].file;
        let found = |path: &Segments| {
            let meant = self.meant(module, path, &mut BTreeSet::new());
            let files = meant.into_iter().filter_map(|meaning| match meaning {
                Meaning::ItemOf(module) => Some(&self.modules[module].file),
                // The names in the path decide which file is used.
                Meaning::Module => None,
            });
            let uses = files.filter(|file| *file != from);
            uses.map(|to| Use { from: from.clone(), to: to.clone(), item: path.join("::") })
                .collect::<Vec<_>>()
        };
        self.modules[module].code.paths.iter().flat_map(found).collect()
    }

    /// Returns the meanings of `path` in `module`: several if `cfg` chooses, or if a function and a
    /// type have the same name; none if the path leads out of the crate. Imports in `followed` are
    /// not followed again, so that circular imports end.
    fn meant(
        &self,
        module: usize,
        path: &[String],
        followed: &mut BTreeSet<*const Segments>,
    ) -> Vec<Meaning> {
        let Some((first, rest)) = path.split_first() else { return vec![Meaning::Module] };
        match first.as_str() {
            "crate" => return self.meant(0, rest, followed),
            "self" => return self.meant(module, rest, followed),
            "super" => return self.meant(self.modules[module].parent, rest, followed),
            _ => {}
        }
        let Module { code, children, .. } = &self.modules[module];
        let mut meant = Vec::new();
        for (_, child) in children.iter().filter(|(name, _)| name == first) {
            meant.extend(self.meant(*child, rest, followed));
        }
        for (_, import) in code.imports.iter().filter(|(name, _)| name == first) {
            meant.extend(self.through(module, import, rest, followed));
        }
        if code.items.contains(first) {
            meant.push(Meaning::ItemOf(module));
        }
        if module == 0 {
            let exports = |module: &usize| self.modules[*module].code.exported.contains(first);
            meant.extend((0..self.modules.len()).filter(exports).map(Meaning::ItemOf));
        }
        if meant.is_empty() {
            for glob in &code.globs {
                meant.extend(self.through(module, glob, path, followed));
            }
        }
        meant
    }

    /// Returns the meanings of `rest` after an import.
    fn through(
        &self,
        module: usize,
        import: &Segments,
        rest: &[String],
        followed: &mut BTreeSet<*const Segments>,
    ) -> Vec<Meaning> {
        if !followed.insert(import) {
            return Vec::new();
        }
        self.meant(module, &[import, rest].concat(), followed)
    }
}

/// Returns the file of `mod name;` in `file`, whose modules are in `folder` unless `path` is given.
fn file_of(
    sources: &Sources,
    file: &str,
    folder: &str,
    name: &str,
    path: Option<String>,
) -> String {
    if let Some(path) = path {
        return file
            .rsplit_once('/')
            .map_or(path.clone(), |(beside, _)| format!("{beside}/{path}"));
    }
    let mut files = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")].into_iter();
    files
        .find(|own| sources.contains_key(own))
        .unwrap_or_else(|| panic!("{file}: there is no file of `mod {name}`"))
}

fn parse(sources: &Sources, file: &str) -> Vec<syn::Item> {
    let text = sources.get(file).unwrap_or_else(|| panic!("there is no {file}"));
    syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}")).items
}

/// Returns sources for tests, from paths and texts.
pub(crate) fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// Returns each use among `files`, as `from to item`.
fn listed(files: &[(&str, &str)]) -> Vec<String> {
    uses(&sources(files))
        .iter()
        .map(|one| format!("{} {} {}", one.from, one.to, one.item))
        .collect()
}

/// Returns the uses of `a.rs` with this text, next to `b.rs` with an item `Item` and a function
/// `call`.
fn listed_of(text: &str) -> Vec<String> {
    let b = "pub struct Item; pub fn call() {}";
    listed(&[("lib.rs", "mod a; mod b; pub use b::Item;"), ("a.rs", text), ("b.rs", b)])
}

#[test]
fn uses_are_found_however_they_are_written() {
    for text in [
        "use crate::b::Item;",
        "use crate::{b::{self, Item}};",
        "use crate::b::Item as Other;",
        "use crate::b::*; fn f(_: Item) {}",
        "use super::b; fn f() { b::call() }",
        "use crate::b as c; fn f() { c::call() }",
        "fn f() { crate::b::call() }",
        "fn f() { use crate::b::call; call() }",
        "fn f(_: Option<Vec<crate::b::Item>>) {}",
        "impl Clone for crate::b::Item {}",
        "impl std::ops::Deref for X { type Target = crate::b::Item; }",
        "fn f() { assert!(x, \"{}\", crate::b::call()) }",
        "use crate::b::*; fn f() { assert!(matches!(x, Item)) }",
        "fn f() { select!(x = y => return crate::b::call()) }",
        "pub use crate::b::Item; fn f(_: Item) {}",
        "macro_rules! m { () => { $crate::b::call() } }",
        "mod inner { fn f() { super::super::b::call() } }",
        "#[cfg(feature = \"x\")] fn f() { crate::b::call() }",
        "#[cfg(any(test, feature = \"x\"))] fn f() { crate::b::call() }",
        "fn f() { crate::Item }",
    ] {
        let listed = listed_of(text);
        assert!(listed.len() == 1 && listed[0].starts_with("a.rs b.rs "), "{text}: {listed:?}");
    }
}

#[test]
fn what_is_not_in_the_code_is_no_use() {
    for text in [
        "// crate::b::call()",
        "/// See [`crate::b::call`].\nfn f() {}",
        "//! See [`crate::b::call`].",
        "use crate::b;",
        "pub use crate::b::Item;",
        "use crate::b::*;",
        "#[cfg(test)] use crate::b::Item;",
        "#[cfg(test)] mod tests { use crate::b::Item; }",
        "#[cfg(all(test, feature = \"x\"))] fn f() { crate::b::call() }",
        "struct S; impl S { #[cfg(test)] fn f() { crate::b::call() } }",
        "#[test] fn f() { crate::b::call() }",
        "pub(in crate::b) fn f() {}",
        "use ::b::Item;",
        "use b::Item; fn f() { std::b::call(); b::call() }",
        "use c::c; fn f() { c::call() }",
        "fn f() { \"crate::b::call()\" }",
        "fn f() { assert!(x.Item, y::<u8>::Item) }",
    ] {
        assert_eq!(listed_of(text), [""; 0], "{text}");
    }
}

#[test]
fn a_use_is_of_the_file_that_defines_the_item() {
    let x = ("x/mod.rs", "mod y; mod z; pub use y::Y; pub use self::z::{Z as Zed}; pub struct X;");
    let files = |user| {
        let lib = ("lib.rs", "mod x; mod user; pub use x::Y;");
        [
            lib,
            x,
            ("x/y.rs", "pub struct Y;"),
            ("x/z.rs", "use super::Y; pub struct Z(Y);"),
            ("user.rs", user),
        ]
    };
    let of_user = |text| {
        listed(&files(text))
            .into_iter()
            .filter(|one| one.starts_with("user.rs"))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_user("use crate::Y;"), ["user.rs x/y.rs crate::Y"]);
    assert_eq!(
        of_user("use crate::x::{X, Zed};"),
        ["user.rs x/mod.rs crate::x::X", "user.rs x/z.rs crate::x::Zed"]
    );
    assert_eq!(of_user("use crate::x; fn f() { x::Y::new() }"), ["user.rs x/y.rs x::Y::new"]);
    // A sibling's item through the parent's re-export.
    assert_eq!(listed(&files("")), ["x/z.rs x/y.rs Y"]);
}

#[test]
fn modules_are_found_where_the_compiler_finds_them() {
    let listed = listed(&[
        ("lib.rs", "mod a { mod b; } #[path = \"other.rs\"] mod named; mod c;"),
        ("a/b.rs", "use crate::named::N;"),
        ("other.rs", "pub struct N;"),
        ("c.rs", "mod d;"),
        ("c/d/mod.rs", "mod e;"),
        ("c/d/e.rs", "use crate::named::N;"),
    ]);
    assert_eq!(listed, ["a/b.rs other.rs crate::named::N", "c/d/e.rs other.rs crate::named::N"]);
}

#[test]
fn a_macro_is_used_by_name_and_from_the_root_where_it_is_exported() {
    let listed = listed(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "macro_rules! local { () => {} } pub(crate) use local; #[macro_export] macro_rules! \
             far { () => {} }",
        ),
        ("b.rs", "use crate::a::local; local!();"),
        ("c.rs", "crate::far!();"),
    ]);
    assert_eq!(listed, ["b.rs a.rs crate::a::local", "c.rs a.rs crate::far"]);
}
