//! Parses an `impl` block down to the signatures of its functions; everything else in it stays
//! opaque tokens.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Generics, Token, Type, Visibility, WhereClause};

use crate::item::{self, Function};

/// The user's `impl` block.
pub(crate) struct Block {
    /// The attributes of the block, without this crate's.
    pub(crate) attrs: Vec<Attribute>,
    /// This crate's attributes but the one that is expanded.
    pub(crate) doubled: Vec<Attribute>,
    pub(crate) impl_token: Token![impl],
    /// The generics, with the `where` clause.
    pub(crate) generics: Generics,
    /// The trait, if the block implements one.
    pub(crate) of_trait: Option<Type>,
    pub(crate) ty: Type,
    pub(crate) items: Vec<Item>,
    /// Everything between the attributes and the braces.
    head: TokenStream,
    inner_attrs: Vec<Attribute>,
    braces: Group,
}

/// An item of an `impl` block.
pub(crate) enum Item {
    Function(Box<Function>),
    /// Any other item, or a function that cannot be parsed.
    Other {
        attrs: Vec<Attribute>,
        tokens: TokenStream,
    },
}

impl Block {
    /// Reads `item` if it is an `impl` block.
    pub(crate) fn parse(item: &TokenStream) -> Option<Self> {
        let mut tokens: Vec<_> = item.clone().into_iter().collect();
        let TokenTree::Group(braces) = tokens.pop()? else { return None };
        if braces.delimiter() != Delimiter::Brace {
            return None;
        }
        let read = |input: ParseStream<'_>| Self::read(input, braces);
        read.parse2(tokens.into_iter().collect()).ok()
    }

    fn read(input: ParseStream<'_>, braces: Group) -> syn::Result<Self> {
        let (doubled, attrs) =
            input.call(Attribute::parse_outer)?.into_iter().partition(item::is_ours);
        let head = input.fork().parse()?;
        input.parse::<Option<Token![unsafe]>>()?;
        let impl_token = input.parse()?;
        let mut generics: Generics = input.parse()?;
        input.parse::<Option<Token![!]>>()?;
        let first = input.parse()?;
        let (of_trait, ty) = match input.parse::<Option<Token![for]>>()? {
            Some(_) => (Some(first), input.parse()?),
            None => (None, first),
        };
        generics.where_clause = input.parse::<Option<WhereClause>>()?;
        let (inner_attrs, items) = items.parse2(braces.stream())?;
        Ok(Self {
            attrs,
            doubled,
            impl_token,
            generics,
            of_trait,
            ty,
            items,
            head,
            inner_attrs,
            braces,
        })
    }

    /// Returns the block with these items in place of its own.
    pub(crate) fn with(&self, items: &TokenStream) -> TokenStream {
        let (attrs, head, inner_attrs) = (&self.attrs, &self.head, &self.inner_attrs);
        let mut braces = Group::new(Delimiter::Brace, quote!(#(#inner_attrs)* #items));
        braces.set_span(self.braces.span());
        quote!(#(#attrs)* #head #braces)
    }
}

fn items(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, Vec<Item>)> {
    let inner_attrs = input.call(Attribute::parse_inner)?;
    let mut items = Vec::new();
    while !input.is_empty() {
        items.push(Item::read(input)?);
    }
    Ok((inner_attrs, items))
}

impl Item {
    fn read(input: ParseStream<'_>) -> syn::Result<Self> {
        if let Some(function) = Function::read_next(input) {
            return Ok(Self::Function(Box::new(function)));
        }
        let ahead = input.fork();
        let attrs = ahead.call(Attribute::parse_outer).unwrap_or_default();
        if !attrs.is_empty() {
            input.advance_to(&ahead);
        }
        let mut tokens = TokenStream::new();
        while !input.is_empty() {
            let token: TokenTree = input.parse()?;
            let is_last = match &token {
                TokenTree::Punct(punct) => punct.as_char() == ';',
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                _ => false,
            };
            tokens.extend([token]);
            if is_last {
                break;
            }
        }
        Ok(Self::Other { attrs, tokens })
    }

    pub(crate) fn attrs(&self) -> &[Attribute] {
        match self {
            Self::Function(function) => &function.attrs,
            Self::Other { attrs, .. } => attrs,
        }
    }

    /// Returns the marks that stand in a `#[cfg_attr(..)]`, where nothing shows whether they
    /// count.
    pub(crate) fn conditional_marks(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs().iter().filter(|attr| item::is_conditional(attr))
    }

    /// Returns the attribute that marks something as a task that is no function.
    pub(crate) fn wrong_mark(&self) -> Option<&Attribute> {
        let Self::Other { attrs, tokens } = self else { return None };
        // The compiler reports a function that cannot be parsed, with more detail.
        let is_function = |input: ParseStream<'_>| -> syn::Result<bool> {
            input.parse::<Visibility>()?;
            let is_function = item::begins_as_function(input);
            input.parse::<TokenStream>()?;
            Ok(is_function)
        };
        let mark = attrs.iter().find(|attr| item::is_ours(attr))?;
        (!is_function.parse2(tokens.clone()).unwrap_or_default()).then_some(mark)
    }
}

impl ToTokens for Item {
    /// Writes the item without this crate's attributes.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Function(function) => function.to_tokens(tokens),
            Self::Other { attrs, tokens: other } => {
                let attrs = attrs.iter().filter(|attr| !item::is_ours(attr));
                tokens.extend(quote!(#(#attrs)* #other));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(item: TokenStream) -> Block {
        Block::parse(&item).expect("an `impl` block")
    }

    fn functions(block: &Block) -> Vec<String> {
        let name = |item: &Item| match item {
            Item::Function(function) => Some(function.sig.ident.to_string()),
            Item::Other { .. } => None,
        };
        block.items.iter().filter_map(name).collect()
    }

    #[test]
    fn everything_but_marks_is_written_as_it_was() {
        let item = quote! {
            #[cfg(all())]
            impl<T> shop::Invoice<T> where T: Send {
                #![allow(unused)]
                const LIMIT: [u8; 2] = { [1, 2] };
                /// Sends it.
                pub async fn send(&self, to: String) -> Result<(), Error> { half. }
                made! { fn no(); }
                fn plain() {}
                type Other = u8;
            }
        };
        let block = block(item.clone());
        assert_eq!(functions(&block), ["send", "plain"]);
        let items = &block.items;
        assert_eq!(block.with(&quote!(#(#items)*)).to_string(), item.to_string());
        assert!(block.of_trait.is_none() && block.generics.where_clause.is_some());
    }

    #[test]
    fn marks_are_not_written() {
        let block = block(quote! {
            #[deferred]
            impl Invoice {
                #[deferred(queue = "mail")]
                fn send(#[sensitive] &self, #[default] to: String) {}
            }
        });
        assert_eq!(block.doubled.len(), 1);
        let items = &block.items;
        let written = block.with(&quote!(#(#items)*)).to_string();
        let expected = quote!(impl Invoice { fn send(&self, to: String) {} });
        assert_eq!(written, expected.to_string());
    }

    #[test]
    fn what_is_no_function_cannot_be_marked() {
        let block = block(quote! {
            impl Mailer for Invoice {
                #[deferred] const A: u8 = 1;
                #[deferred] fn broken(1) {}
                #[deferred] pub async fn fine() {}
            }
        });
        assert!(block.of_trait.is_some());
        let wrong: Vec<_> = block.items.iter().map(|item| item.wrong_mark().is_some()).collect();
        assert_eq!(wrong, [true, false, false]);
    }

    #[test]
    fn other_items_are_no_blocks() {
        for item in [
            quote!(
                fn send() {}
            ),
            quote!(
                struct Invoice {
                    id: u64,
                }
            ),
            quote!(
                trait Mailer {
                    fn send();
                }
            ),
            quote!(
                struct Invoice;
            ),
            quote!(),
        ] {
            assert!(Block::parse(&item).is_none());
        }
    }
}
