//! Parses the code of one module: the names it defines and imports, its modules, and the paths it
//! names.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, UseTree, Visibility};

/// The segments of a path.
pub(crate) type Segments = Vec<String>;

/// The code of a module, without its tests.
#[derive(Default)]
pub(crate) struct Code {
    pub(crate) items: Vec<String>,
    /// The macros that `#[macro_export]` puts at the root of the crate.
    pub(crate) exported: Vec<String>,
    /// The name and the path of each import.
    pub(crate) imports: Vec<(String, Segments)>,
    /// The modules from which all names are imported.
    pub(crate) globs: Vec<Segments>,
    pub(crate) modules: Vec<Declared>,
    /// The named paths, including private imports.
    pub(crate) paths: Vec<Segments>,
}

/// A module in another.
pub(crate) struct Declared {
    pub(crate) name: String,
    /// The value of `#[path = ".."]`.
    pub(crate) path: Option<String>,
    /// The module's items, if the module is not a file.
    pub(crate) items: Option<Vec<Item>>,
}

impl Code {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut code = Self::default();
        items.iter().for_each(|item| code.visit_item(item));
        code
    }

    fn define(&mut self, ident: &Ident) {
        self.items.push(ident.to_string());
    }

    fn import(&mut self, tree: &UseTree, mut path: Segments, is_private: bool) {
        let (ident, name) = match tree {
            UseTree::Path(next) => {
                path.push(next.ident.to_string());
                return self.import(&next.tree, path, is_private);
            }
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(tree, path.clone(), is_private));
            }
            UseTree::Glob(_) => return self.globs.push(path),
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(rename) => (&rename.ident, &rename.rename),
        };
        // `self` at the end of a path means the path itself.
        let name = if ident == "self" {
            path.last().cloned().unwrap_or_default()
        } else {
            name.to_string()
        };
        if ident != "self" {
            path.push(ident.to_string());
        }
        if is_private {
            self.paths.push(path.clone());
        }
        self.imports.push((name, path));
    }

    /// Returns the paths among the tokens of a macro; a single name counts only if it looks like a
    /// type.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let is = |at: usize, c| match tokens.get(at) {
            Some(TokenTree::Punct(punct)) => punct.as_char() == c,
            _ => false,
        };
        let mut at = 0;
        while at < tokens.len() {
            let mut path = Segments::new();
            let is_member =
                at > 0 && (is(at - 1, '.') || is(at - 1, ':') && at > 1 && is(at - 2, ':'));
            while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
                path.push(ident.to_string());
                at += 1;
                if !(is(at, ':') && is(at + 1, ':')) {
                    break;
                }
                at += 2;
            }
            let is_type = path.first().is_some_and(|name| name.starts_with(char::is_uppercase));
            if !path.is_empty() {
                if !is_member && (path.len() > 1 || is_type) {
                    self.paths.push(path);
                }
                continue;
            }
            if let Some(TokenTree::Group(group)) = tokens.get(at) {
                self.scan(group.stream());
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Code {
    fn visit_item(&mut self, item: &'ast Item) {
        if attributes(item).iter().any(is_for_tests) {
            return;
        }
        match item {
            Item::Use(item) if item.leading_colon.is_none() => {
                self.import(&item.tree, Segments::new(), matches!(item.vis, Visibility::Inherited));
            }
            Item::Use(_) => {}
            Item::Mod(item) => self.modules.push(Declared {
                name: item.ident.to_string(),
                path: item.attrs.iter().find_map(said_path),
                items: item.content.as_ref().map(|(_, items)| items.clone()),
            }),
            Item::Macro(item) => {
                if let Some(name) = &item.ident {
                    self.define(name);
                    if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"))
                    {
                        self.exported.push(name.to_string());
                    }
                }
                self.visit_macro(&item.mac);
            }
            _ => {
                if let Some(name) = name(item) {
                    self.define(name);
                }
                visit::visit_item(self, item);
            }
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !function.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.paths
                .push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }

    // Doc comments and `pub(in crate::worker)` are not uses.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an item with `attribute` exists only in tests: `cfg(test)`, `cfg(all(test, ..))`, or a
/// test itself.
fn is_for_tests(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
    list.path.is_ident("cfg") && asks_for_tests(list.tokens.clone())
}

fn asks_for_tests(condition: TokenStream) -> bool {
    let tokens: Vec<_> = condition.into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(name), TokenTree::Group(group)] if name == "all" => {
            assert_eq!(group.delimiter(), Delimiter::Parenthesis);
            let parts: Vec<_> = group.stream().into_iter().collect();
            parts
                .split(|part| matches!(part, TokenTree::Punct(punct) if punct.as_char() == ','))
                .any(|part| asks_for_tests(part.iter().cloned().collect()))
        }
        [TokenTree::Ident(name)] => name == "test",
        _ => false,
    }
}

fn said_path(attribute: &Attribute) -> Option<String> {
    let syn::Meta::NameValue(said) = &attribute.meta else { return None };
    match &said.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. })
            if said.path.is_ident("path") =>
        {
            Some(path.value())
        }
        _ => None,
    }
}
