//! The function below the attribute: its signature is read, its body stays opaque tokens.
//!
//! A half-typed body still expands, so editors keep completing in it, and long bodies cost nothing.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, Signature, Visibility};

/// The user's function.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// The signature as it is written, our parameter attributes included.
    pub(crate) sig: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let ahead = input.fork();
        let Ok(sig) = ahead.parse::<Signature>() else { return Err(no_function(input)) };
        input.advance_to(&ahead);
        match input.parse::<TokenTree>() {
            Ok(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => Ok(Self { attrs, vis, sig, body }),
            _ => Err(syn::Error::new_spanned(
                &sig,
                "`#[deferred]` needs a function with a body: put it on a free function",
            )),
        }
    }
}

fn no_function(input: ParseStream<'_>) -> syn::Error {
    input.error("`#[deferred]` goes on a function, `async fn` or `fn`: move it there")
}

impl ToTokens for Function {
    /// The function as its author wants it compiled: without the attributes that are ours.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let attrs = self.attrs.iter().filter(|attr| !is_ours(attr));
        let (vis, body) = (&self.vis, &self.body);
        let mut sig = self.sig.clone();
        // Refused, and an error of the compiler's own beside ours.
        sig.variadic = None;
        for input in &mut sig.inputs {
            if let FnArg::Typed(parameter) = input {
                parameter.attrs.retain(|attr| !is_taken(attr));
            }
        }
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}

/// Whether this is `#[deferred]` again, under whatever path.
pub(crate) fn is_ours(attr: &Attribute) -> bool {
    attr.path().segments.last().is_some_and(|segment| segment.ident == "deferred")
}

/// Whether a parameter's attribute is for us and must not reach the compiler: markers, docs (which move to the field
/// of the args), and what is refused.
fn is_taken(attr: &Attribute) -> bool {
    is_ours(attr) || ["state", "context", "doc", "cfg"].iter().any(|word| attr.path().is_ident(word))
}
