//! Every place where generated code asks a trait of the user's types, spanned on that type.
//!
//! Each bound is asked in exactly one place, so that a missing one is one error: `Serialize` where a parameter is
//! encoded, `DeserializeOwned` where it is decoded, `Send` in a check that does nothing else, those of a state where
//! it is fetched, and `TaskOutput` where the result is looked at. That the future is `Send` is asked only where the
//! parameters are: an argument that is not would make it a second error about the same type.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::model::{Parameter, Task};
use crate::names;

/// Writes a parameter: `Serialize`.
pub(crate) fn encoded(task: &Task, field: &Ident, parameter: &Parameter) -> TokenStream {
    let (door, ty, name) = (&task.door, parameter.ty(), names::plain(field));
    quote_spanned!(ty.span()=> #door::Encoder::parameter::<#ty>(__payload, #name, &self.#field)?;)
}

/// Reads a parameter: `DeserializeOwned`.
pub(crate) fn decoded(task: &Task, field: &Ident, parameter: &Parameter) -> TokenStream {
    let (door, ty, name) = (&task.door, parameter.ty(), names::plain(field));
    quote_spanned!(ty.span()=> #field: #door::Decoder::parameter::<#ty>(__payload, #name)?)
}

/// A function nobody calls, in which the compiler compares the parameters with `Send`.
pub(crate) fn sendable(task: &Task) -> TokenStream {
    let door = &task.door;
    let checks = task.payload().map(|(_, parameter)| {
        let ty = parameter.ty();
        quote_spanned!(ty.span()=> #door::parameter::<#ty>();)
    });
    quote! {
        fn __parameters() {
            #(#checks)*
        }
    }
}

/// Fetches a state: `Send`, `Sync` and `'static`.
pub(crate) fn fetched(task: &Task, ty: &Type) -> TokenStream {
    let door = &task.door;
    quote_spanned!(ty.span()=> #door::Call::state::<#ty>(__call)?)
}

/// Copies a state that is taken by value: `Clone`.
pub(crate) fn cloned(ty: &Type, state: &Ident) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as ::core::clone::Clone>::clone(&*#state))
}

/// Drops the success value of a call: `TaskOutput`.
pub(crate) fn result(task: &Task, call: &TokenStream) -> TokenStream {
    let (door, output) = (&task.door, task.output());
    quote_spanned!(output.span()=> <#output as #door::TaskOutput>::into_result(#call))
}

/// Makes the work of a future or a closure: `Send`, if everything that is moved into it is.
pub(crate) fn work(task: &Task, body: &TokenStream) -> TokenStream {
    let (door, sig) = (&task.door, &task.function.sig);
    let parameters = task.payload().map(|(_, parameter)| parameter.ty());
    let states = task.states();
    let moved = quote!((#(#parameters,)* #(#door::Arc<#states>,)*));
    match &sig.asyncness {
        Some(token) => quote_spanned!(token.span=> (&&#door::Moved::<#moved>::new()).future(async move { #body })),
        None => quote_spanned!(sig.fn_token.span=> (&&#door::Moved::<#moved>::new()).call(move || { #body })),
    }
}
