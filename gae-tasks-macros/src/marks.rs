//! Parses the attributes of a parameter: `#[default]`, `#[alias("..")]` and
//! `#[sensitive]`.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, LitStr, Meta, Token};

use crate::errors::Errors;
use crate::names;

/// The marks of a parameter.
#[derive(Default)]
pub(crate) struct Marks {
    pub(crate) default: Option<DefaultOf>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) is_sensitive: bool,
}

/// Where the default of a parameter comes from.
pub(crate) enum DefaultOf {
    /// From the `Default` of its type.
    Type,
    /// From this expression.
    Value(Box<Expr>),
}

/// The attributes for parameters that are sent.
pub(crate) const SENT: [&str; 3] = ["default", "alias", "sensitive"];

/// All attributes for parameters.
const WORDS: [&str; 5] = ["state", "context", "default", "alias", "sensitive"];

/// Other words for an attribute, which [`names::nearest`] would not match with it.
const SYNONYMS: [(&str, &str); 8] = [
    ("injected", "state"),
    ("cx", "context"),
    ("ctx", "context"),
    ("optional", "default"),
    ("rename", "alias"),
    ("renamed", "alias"),
    ("secret", "sensitive"),
    ("private", "sensitive"),
];

/// The compiler's own attributes for parameters.
const BUILT_IN: [&str; 8] = ["allow", "warn", "deny", "forbid", "expect", "cfg", "cfg_attr", "doc"];

impl Marks {
    /// Reads the marks. Those that cannot be read are recorded as errors and left out.
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut marks = Self::default();
        for attr in attrs {
            match word(attr).as_deref() {
                Some("default") => marks.add_default(attr, errors),
                Some("alias") => marks.add_aliases(attr, errors),
                Some("sensitive") => marks.add_sensitive(attr, errors),
                _ => {}
            }
            if let Some(message) = misspelt(attr) {
                errors.on(attr, message);
            }
        }
        marks
    }

    fn add_default(&mut self, attr: &Attribute, errors: &mut Errors) {
        let default = match &attr.meta {
            Meta::Path(_) => Ok(DefaultOf::Type),
            Meta::List(list) => list.parse_args().map(|expr| DefaultOf::Value(Box::new(expr))),
            Meta::NameValue(pair) => Err(syn::Error::new_spanned(pair, "")),
        };
        let Ok(default) = default else {
            return errors.on(
                attr,
                "`#[default(..)]` takes one expression: write `#[default(0)]`, or `#[default]` for \
                 the `Default` of the type",
            );
        };
        if self.default.replace(default).is_some() {
            errors.on(attr, "the parameter has two defaults: keep one");
        }
    }

    fn add_aliases(&mut self, attr: &Attribute, errors: &mut Errors) {
        let aliases = attr.parse_args_with(Punctuated::<LitStr, Token![,]>::parse_terminated);
        match aliases {
            Ok(aliases) if !aliases.is_empty() => self.aliases.extend(aliases),
            _ => errors.on(
                attr,
                "`#[alias(..)]` takes the names that the parameter had before: write \
                 `#[alias(\"old_name\")]`",
            ),
        }
    }

    fn add_sensitive(&mut self, attr: &Attribute, errors: &mut Errors) {
        if attr.meta.require_path_only().is_err() {
            errors.on(
                attr,
                "`#[sensitive]` takes no value: write `#[sensitive]`, or for a part of the \
                 parameter `sensitive = [\"card.number\"]` in `#[deferred(..)]`",
            );
        } else if self.is_sensitive {
            errors.on(attr, "`#[sensitive]` is given twice: keep one");
        }
        self.is_sensitive = true;
    }
}

/// Whether an attribute of a parameter is one of this crate's, or is meant as one.
pub(crate) fn is_mark(attr: &Attribute) -> bool {
    word(attr).is_some_and(|word| WORDS.contains(&&*word)) || misspelt(attr).is_some()
}

/// Returns the name of an attribute that is not a path.
pub(crate) fn word(attr: &Attribute) -> Option<String> {
    attr.path().get_ident().map(names::plain)
}

/// Returns what to write in place of an attribute that is meant as one of this crate's.
fn misspelt(attr: &Attribute) -> Option<String> {
    let word = word(attr)?;
    if word == "serde" {
        let message = "`#[serde(..)]` has no effect on a parameter: write `#[default]` or \
                       `#[alias(\"..\")]`, or put it on a field of the parameter's type";
        return Some(message.to_owned());
    }
    if WORDS.contains(&&*word) || BUILT_IN.contains(&&*word) {
        return None;
    }
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == word).map(|(_, meant)| *meant);
    let meant = synonym.or_else(|| names::nearest(&word, &WORDS))?;
    Some(format!("unknown attribute `{word}` of a parameter, did you mean `#[{meant}]`?"))
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse::Parser;

    use super::*;

    fn read(attrs: proc_macro2::TokenStream) -> (Marks, Vec<String>) {
        let attrs = Attribute::parse_outer.parse2(attrs).unwrap();
        let mut errors = Errors::default();
        let marks = Marks::read(&attrs, &mut errors);
        let errors = errors.finish().err().into_iter().flatten().map(|e| e.to_string()).collect();
        (marks, errors)
    }

    #[test]
    fn every_mark_is_read() {
        let (marks, errors) =
            read(quote!(#[default(1 + 1)] #[alias("a", "b",)] #[alias("c")] #[sensitive]));
        assert!(errors.is_empty(), "{errors:?}");
        assert!(matches!(marks.default, Some(DefaultOf::Value(_))) && marks.is_sensitive);
        let aliases: Vec<_> = marks.aliases.iter().map(LitStr::value).collect();
        assert_eq!(aliases, ["a", "b", "c"]);
        let (marks, _) = read(quote!(#[default] #[allow(unused)]));
        assert!(matches!(marks.default, Some(DefaultOf::Type)) && !marks.is_sensitive);
    }

    #[test]
    fn a_mark_that_cannot_be_read_is_one_error() {
        for (attrs, fix) in [
            (quote!(#[default()]), "`#[default(0)]`"),
            (quote!(#[default = 5]), "`#[default(0)]`"),
            (quote!(#[default(1, 2)]), "one expression"),
            (quote!(#[default] #[default(1)]), "keep one"),
            (quote!(#[alias]), "`#[alias(\"old_name\")]`"),
            (quote!(#[alias()]), "`#[alias(\"old_name\")]`"),
            (quote!(#[alias(old)]), "`#[alias(\"old_name\")]`"),
            (quote!(#[sensitive(true)]), "takes no value"),
            (quote!(#[sensitive] #[sensitive]), "keep one"),
            (quote!(#[defaults]), "did you mean `#[default]`"),
            (quote!(#[secret]), "did you mean `#[sensitive]`"),
            (quote!(#[serde(default)]), "`#[default]` or `#[alias(\"..\")]`"),
        ] {
            let (_, errors) = read(attrs.clone());
            assert!(errors.len() == 1 && errors[0].contains(fix), "{attrs}: {errors:?}");
        }
    }

    #[test]
    fn attributes_of_others_are_left_alone() {
        let (_, errors) = read(quote!(#[expect(unused)] #[case(1)] #[values(1)] #[other::default]));
        assert!(errors.is_empty(), "{errors:?}");
    }
}
