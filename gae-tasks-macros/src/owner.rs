//! The type whose `impl` block has tasks: its name, and what `Self` stands for outside of the
//! block.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Generics, Type};

use crate::tokens::{at, has_word, peeled};

/// The type of an `impl` block.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) ty: Type,
    /// The type's own name, without its path.
    pub(crate) name: Ident,
    /// The attributes of the block.
    pub(crate) attrs: Vec<Attribute>,
    /// The generics of the block, if it is refused for them.
    pub(crate) generics: Generics,
    /// Whether the block breaks a rule, so that none of its tasks is generated.
    pub(crate) is_refused: bool,
}

impl Owner {
    /// Returns the owner of the methods of an `impl ty`, unless the type has no name.
    pub(crate) fn new(ty: &Type, attrs: &[Attribute], generics: &Generics) -> Option<Self> {
        let Type::Path(path) = peeled(ty) else { return None };
        let name = path.path.segments.last()?.ident.clone();
        path.qself.is_none().then(|| Self {
            ty: peeled(ty).clone(),
            name,
            attrs: attrs.to_vec(),
            generics: generics.clone(),
            is_refused: false,
        })
    }

    /// Returns the type, placed at `span`.
    pub(crate) fn ty_at(&self, span: Span) -> Type {
        syn::parse2(at(span, self.ty.to_token_stream())).unwrap_or_else(|_| self.ty.clone())
    }

    /// Returns a type with this type in place of `Self`.
    pub(crate) fn resolved_type(&self, ty: &Type) -> Type {
        let tokens = ty.to_token_stream();
        if !has_word(tokens.clone(), "Self") {
            return ty.clone();
        }
        syn::parse2(self.resolved(tokens)).unwrap_or_else(|_| ty.clone())
    }

    /// Returns `tokens` with this type in place of each `Self`.
    pub(crate) fn resolved(&self, tokens: TokenStream) -> TokenStream {
        let mut resolved = TokenStream::new();
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if word == "Self" => {
                    let ty = at(word.span(), self.ty.to_token_stream());
                    // In an expression, `Invoice<u64>::LIMIT` would be a comparison.
                    let is_prefix = tokens.peek().is_some_and(is_colon);
                    resolved.extend(if is_prefix { quote!(<#ty>) } else { ty });
                }
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), self.resolved(group.stream()));
                    inner.set_span(group.span());
                    resolved.extend([TokenTree::Group(inner)]);
                }
                token => resolved.extend([token]),
            }
        }
        resolved
    }
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;
    use crate::names::type_text;

    fn owner(ty: &Type) -> Option<Owner> {
        Owner::new(ty, &[], &Generics::default())
    }

    #[test]
    fn self_is_replaced_wherever_it_is_written() {
        let owner = owner(&parse_quote!(shop::Pair<u64>)).unwrap();
        assert_eq!(owner.name, "Pair");
        for (written, resolved) in [
            (quote!(Self), quote!(shop::Pair<u64>)),
            (quote!(Result<Vec<Self>, String>), quote!(Result<Vec<shop::Pair<u64>>, String>)),
            (quote!([u8; Self::LEN]), quote!([u8; <shop::Pair<u64>>::LEN])),
            (quote!(Vec<u8>), quote!(Vec<u8>)),
        ] {
            let ty = owner.resolved_type(&syn::parse2(written).unwrap());
            assert_eq!(type_text(&ty), type_text(&syn::parse2(resolved).unwrap()));
        }
    }

    #[test]
    fn a_type_without_a_name_has_no_owner() {
        let types: [Type; 3] =
            [parse_quote!(dyn Send), parse_quote!([u8]), parse_quote!(<A as B>::C)];
        assert!(types.iter().all(|ty| owner(ty).is_none()));
    }
}
