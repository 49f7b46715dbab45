//! Generates the calls of upgrade functions, which make args of the parameters that a task had
//! before.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::model::Task;

/// Generates the function that goes through an upgrade by its number, and the names of the upgrades
/// with the schemas of the structs that they take. That function alone names the upgrades, so that
/// the compiler reports a wrong one once.
pub(crate) fn function(task: &Task) -> Option<TokenStream> {
    let (door, args) = (&task.door, &task.args);
    let (registered, count) = (elements(task), task.settings.upgrades.len());
    let upgrades = task.settings.upgrades.iter().enumerate().map(|(number, path)| {
        let name = written(task, path);
        // As in `bounds`, a variable is not spanned on what a macro may have passed on.
        let (on, upgrade) = (quote!(__on), task.resolved(path.to_token_stream()));
        let call = quote_spanned! {path.span()=>
            <__On as #door::Upgrading<_>>::through(#on, #name, #upgrade)
        };
        quote!(#number => #call,)
    });
    (!task.settings.upgrades.is_empty()).then(|| {
        quote! {
            fn __upgrade<__On: #door::Upgrading<#args>>(
                __number: ::core::primitive::usize,
                __on: __On,
            ) -> #door::Result<__On::Output, #door::UnreadableError> {
                match __number {
                    #(#upgrades)*
                    _ => #door::no_upgrade(),
                }
            }
            static __UPGRADES: [#door::Upgrade; #count] = [#(#registered),*];
        }
    })
}

/// Generates the method of the args that calls an upgrade.
pub(crate) fn method(task: &Task) -> Option<TokenStream> {
    let door = &task.door;
    (!task.settings.upgrades.is_empty()).then(|| {
        quote! {
            fn upgrade(
                __number: ::core::primitive::usize,
                __payload: &mut #door::Decoder<'_>,
            ) -> #door::Result<Self, #door::UnreadableError> {
                __upgrade(__number, __payload)
            }
        }
    })
}

/// Generates the reference to the names and the schemas, for the registration.
pub(crate) fn registered(task: &Task) -> TokenStream {
    if task.settings.upgrades.is_empty() { quote!(&[]) } else { quote!(&__UPGRADES) }
}

fn elements(task: &Task) -> impl Iterator<Item = TokenStream> {
    let door = &task.door;
    task.settings.upgrades.iter().enumerate().map(move |(number, path)| {
        let name = written(task, path);
        quote! {
            #door::Upgrade {
                name: #name,
                traced: #door::Traced::new(|__tracer| __upgrade(#number, __tracer)),
            }
        }
    })
}

/// The path of an upgrade function, as the attribute has it.
fn written(task: &Task, path: &syn::Path) -> String {
    task.resolved(path.to_token_stream()).to_string().replace(' ', "")
}
