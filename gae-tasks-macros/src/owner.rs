//! The type whose `impl` block has tasks: its name, and what `Self` stands for outside of the
//! block.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Generics, PathArguments, Type};

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
    /// Whether the block implements a trait, which is refused too.
    pub(crate) is_of_trait: bool,
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
            is_of_trait: false,
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
        for token in tokens {
            match token {
                TokenTree::Ident(word) if word == "Self" => {
                    resolved.extend(at(word.span(), self.anywhere()));
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

    /// Returns the type as it can stand in types and in expressions: `Pair::<u64>`.
    fn anywhere(&self) -> TokenStream {
        let mut ty = self.ty.clone();
        if let Type::Path(path) = &mut ty {
            for segment in &mut path.path.segments {
                if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    arguments.colon2_token.get_or_insert_default();
                }
            }
        }
        ty.into_token_stream()
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;
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
            (quote!(Self), quote!(shop::Pair::<u64>)),
            (quote!(Result<Vec<Self>, String>), quote!(Result<Vec<shop::Pair::<u64>>, String>)),
            (quote!([u8; Self::LEN]), quote!([u8; shop::Pair::<u64>::LEN])),
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
