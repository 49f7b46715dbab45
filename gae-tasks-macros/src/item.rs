//! Parses the signature of the function below the attribute; its body stays opaque tokens.
//!
//! A half-typed body still expands, so editors can still complete code in it, and long bodies cost
//! nothing.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, LitStr, Meta, Signature, Token, Visibility};

use crate::marks;

/// The user's function.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// The signature as written, including this crate's parameter attributes.
    pub(crate) sig: Signature,
    body: Group,
}

/// The reason why tokens cannot be parsed as a task's function.
pub(crate) enum NoFunction {
    /// The tokens are another item.
    Other(syn::Error),
    /// The function's signature cannot be parsed. The compiler reports the mistake at the same
    /// place, with more detail.
    Broken,
}

impl Function {
    /// Reads the function below the attribute.
    pub(crate) fn parse(item: TokenStream) -> Result<Self, NoFunction> {
        let mut broken = false;
        let read = |input: ParseStream<'_>| Self::read(input, &mut broken);
        read.parse2(item)
            .map_err(|error| if broken { NoFunction::Broken } else { NoFunction::Other(error) })
    }

    /// Reads the function that is next in an `impl` block, if one is.
    pub(crate) fn read_next(input: ParseStream<'_>) -> Option<Self> {
        let ahead = input.fork();
        let function = Self::read(&ahead, &mut false).ok()?;
        input.advance_to(&ahead);
        Some(function)
    }

    /// Returns the function with all that the user wrote.
    pub(crate) fn as_written(&self) -> TokenStream {
        let Self { attrs, vis, sig, body } = self;
        // A conditional mark was reported; left in, it would cause further errors.
        let attrs = attrs.iter().filter(|attr| !is_conditional(attr));
        quote!(#(#attrs)* #vis #sig #body)
    }

    /// Returns the tokens between the braces.
    pub(crate) fn body(&self) -> TokenStream {
        self.body.stream()
    }

    fn read(input: ParseStream<'_>, broken: &mut bool) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let ahead = input.fork();
        let Ok(sig) = ahead.parse::<Signature>() else {
            *broken = begins_as_function(input);
            return Err(
                input.error("`#[deferred]` goes on a function, `async fn` or `fn`: move it there")
            );
        };
        input.advance_to(&ahead);
        match input.parse().ok().and_then(body) {
            Some(body) => Ok(Self { attrs, vis, sig, body }),
            None => Err(syn::Error::new_spanned(
                &sig,
                "`#[deferred]` needs a function with a body: put it on one that has a body",
            )),
        }
    }
}

/// Whether the next tokens are function qualifiers, if any, and then `fn`.
pub(crate) fn begins_as_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    while !ahead.is_empty() && !ahead.peek(Token![fn]) {
        let qualifier = ahead.call(Ident::parse_any).map(|word| word.to_string());
        let is_qualifier = qualifier
            .is_ok_and(|word| ["const", "async", "unsafe", "extern"].contains(&word.as_str()));
        if !is_qualifier && ahead.parse::<LitStr>().is_err() {
            return false;
        }
    }
    ahead.peek(Token![fn])
}

/// Returns the braces of a body. The braces of a macro's `$body:block` are inside an invisible
/// group.
fn body(token: TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = token else { return None };
    match group.delimiter() {
        Delimiter::Brace => Some(group),
        Delimiter::None => {
            let mut inner = group.stream().into_iter();
            inner.next().filter(|_| inner.next().is_none()).and_then(body)
        }
        _ => None,
    }
}

impl ToTokens for Function {
    /// Writes the function without this crate's attributes.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let attrs = self.attrs.iter().filter(|attr| !is_ours(attr));
        let (vis, body) = (&self.vis, &self.body);
        let mut sig = self.sig.clone();
        // Rejected by `check`; left in, it would cause a second error from the compiler.
        sig.variadic = None;
        for input in &mut sig.inputs {
            let attrs = match input {
                FnArg::Typed(parameter) => &mut parameter.attrs,
                FnArg::Receiver(receiver) => &mut receiver.attrs,
            };
            attrs.retain(|attr| !is_taken(attr));
        }
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}

/// Whether `attr` is `#[deferred]`, under any path.
pub(crate) fn is_ours(attr: &Attribute) -> bool {
    attr.path().segments.last().is_some_and(|segment| segment.ident == "deferred")
}

/// Whether `attr` is a `#[cfg_attr(.., deferred)]`.
pub(crate) fn is_conditional(attr: &Attribute) -> bool {
    let marks = |metas: Punctuated<Meta, Token![,]>| {
        metas.iter().skip(1).any(|meta| {
            meta.path().segments.last().is_some_and(|segment| segment.ident == "deferred")
        })
    };
    attr.path().is_ident("cfg_attr")
        && attr.parse_args_with(Punctuated::parse_terminated).is_ok_and(marks)
}

/// Whether the macro removes a parameter's attribute from the function: markers, docs (which move
/// to the field of the args), and rejected attributes.
fn is_taken(attr: &Attribute) -> bool {
    is_ours(attr)
        || marks::is_mark(attr)
        || ["doc", "cfg"].iter().any(|word| attr.path().is_ident(word))
}
