//! Inspects the tokens of a type, and places tokens where errors in them are reported.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::Type;

use crate::names;

pub(crate) fn has_word(tokens: TokenStream, word: &str) -> bool {
    find_word(tokens, &[word]).is_some()
}

/// Returns the first of `words` among the tokens.
pub(crate) fn find_word(tokens: TokenStream, words: &[&str]) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => words.iter().any(|word| ident == word).then_some(ident),
        TokenTree::Group(group) => find_word(group.stream(), words),
        _ => None,
    })
}

/// Whether a type contains a reference or a lifetime other than `'static`. With
/// `static_references`, `&'static` references are allowed too.
pub(crate) fn borrows(tokens: TokenStream, static_references: bool) -> bool {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let is_static = |at: usize| {
        matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == '\'')
            && matches!(tokens.get(at + 1), Some(TokenTree::Ident(ident)) if ident == "static")
    };
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Punct(punct) if punct.as_char() == '&' => {
            !(static_references && is_static(at + 1))
        }
        TokenTree::Punct(punct) if punct.as_char() == '\'' => !is_static(at),
        TokenTree::Group(group) => borrows(group.stream(), static_references),
        _ => false,
    })
}

/// Whether a type contains a `_`, which the compiler would have to infer.
pub(crate) fn is_inferred(ty: TokenStream) -> bool {
    placeholder(ty).is_some()
}

/// Returns the first `_` in a type, except in the lifetime `'_`.
pub(crate) fn placeholder(ty: TokenStream) -> Option<Ident> {
    let mut in_lifetime = false;
    ty.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => (ident == "_" && !in_lifetime).then_some(ident),
        TokenTree::Group(group) => placeholder(group.stream()),
        TokenTree::Punct(punct) => {
            in_lifetime = punct.as_char() == '\'';
            None
        }
        TokenTree::Literal(_) => None,
    })
}

/// Whether a type is `str`, a slice or a trait object by itself.
pub(crate) fn is_unsized(ty: &Type) -> bool {
    match peeled(ty) {
        Type::Slice(_) | Type::TraitObject(_) => true,
        ty => names::type_text(ty) == "str",
    }
}

pub(crate) fn is_context(ty: &Type) -> bool {
    names::type_text(ty).rsplit(':').next() == Some("TaskContext")
}

/// Returns a type without parentheses and without the invisible groups that macros put around their
/// fragments.
pub(crate) fn peeled(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peeled(&group.elem),
        Type::Paren(paren) => peeled(&paren.elem),
        ty => ty,
    }
}

/// Moves generated tokens to `span`, so that the compiler reports errors in them there.
pub(crate) fn at(span: Span, tokens: TokenStream) -> TokenStream {
    let tokens = tokens.into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    tokens.collect()
}
