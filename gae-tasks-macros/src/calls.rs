//! Generates the functions that defer a call: of the args, and of the task type or of the type
//! whose method the task is.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use crate::model::{Parameter, Task};
use crate::owner::Owner;

/// Generates the functions that defer a call.
pub(crate) fn functions(task: &Task) -> TokenStream {
    let (door, args, vis) = (&task.door, &task.args, &task.function.vis);
    let doc = format!("Defers a call of `{}` with these arguments when awaited.", task.title());
    let call = match &task.owner {
        None => of_the_task_type(task, &doc),
        Some(owner) => of_the_owner(task, owner, &doc),
    };
    quote! {
        #call
        #[automatically_derived]
        impl #args {
            #[doc = #doc]
            #vis fn defer(self) -> #door::Defer {
                #door::Defer::new(&self)
            }
        }
    }
}

/// Generates `send_welcome::defer(..)`.
fn of_the_task_type(task: &Task, doc: &str) -> TokenStream {
    let (door, name, vis) = (&task.door, &task.name, &task.function.vis);
    let (parameters, deferred) = (declared(task), by_value(task));
    quote! {
        #[automatically_derived]
        impl #name {
            #[doc = #doc]
            #[allow(non_snake_case)]
            #vis fn defer(#(#parameters),*) -> #door::Defer {
                #deferred
            }
        }
    }
}

/// Generates `invoice.defer_send(..)`, or `Invoice::defer_create(..)` if no receiver is sent.
fn of_the_owner(task: &Task, owner: &Owner, doc: &str) -> TokenStream {
    let (ty, vis, here) = (&owner.ty, &task.function.vis, task.function.sig.ident.span());
    let (call, shared, parameters) = (&task.call, task.shared(), declared(task));
    let (receiver, deferred) = match task.sends_receiver() {
        true => (Some(quote!(&self,)), by_reference(task)),
        false => (None, by_value(task)),
    };
    // Written where the method is named: the compiler reports there that another block has a
    // function of this name.
    let (function, body) = (quote_spanned!(here=> fn), quote_spanned!(here=> { #deferred }));
    let output = quote_spanned!(here=> __door::Defer);
    quote! {
        #[automatically_derived]
        impl #ty {
            #(#shared)*
            #[doc = #doc]
            #[allow(non_snake_case)]
            #vis #function #call(#receiver #(#parameters),*) -> #output #body
        }
    }
}

/// Returns the parameters of a call, without a receiver.
fn declared(task: &Task) -> impl Iterator<Item = TokenStream> {
    let others = task.payload().filter(|(_, parameter)| parameter.receiver.is_none());
    others.map(|(field, parameter)| {
        let ty = parameter.ty();
        if parameter.is_string() {
            quote!(#field: impl ::core::convert::Into<#ty>)
        } else {
            quote!(#field: #ty)
        }
    })
}

/// Defers the args, which are made of the parameters.
fn by_value(task: &Task) -> TokenStream {
    let (door, args) = (&task.door, &task.args);
    let values = task.payload().map(|(field, parameter)| {
        let value = value(field, parameter);
        quote!(#field: #value)
    });
    quote!(#door::Defer::new(&#args { #(#values,)* }))
}

/// Defers what is encoded without args: the receiver is only borrowed, so args could not hold the
/// receiver without a clone.
fn by_reference(task: &Task) -> TokenStream {
    let (door, args) = (&task.door, &task.args);
    let parts = task.payload().map(|(field, parameter)| match parameter.receiver {
        Some(_) => quote!(self),
        None => {
            let value = value(field, parameter);
            quote!(&#value)
        }
    });
    quote!(#door::Defer::of_parts::<#args, _>((#(#parts,)*), __write))
}

fn value(field: &Ident, parameter: &Parameter) -> TokenStream {
    let ty = parameter.ty();
    match parameter.is_string() {
        true => quote!(::core::convert::Into::<#ty>::into(#field)),
        false => quote!(#field),
    }
}
