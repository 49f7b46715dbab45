//! Expands a function that breaks a rule into the errors, the function, and inert items under the
//! names that its callers use, so that call sites cause no further errors.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};

use crate::check;
use crate::model::{Parameter, Task};
use crate::names;
use crate::tokens;

/// Expands to the errors, the function, and the items that call sites name.
pub(crate) fn expand(task: &Task, error: &syn::Error) -> TokenStream {
    let errors = error.to_compile_error();
    let function = function(task);
    // An `impl` block cannot contain structs and enums.
    let items = (!check::is_method(task)).then(|| items(task));
    quote!(#function #errors #items)
}

/// Generates the user's function, or a stub if the compiler rejects it for a mistake already
/// reported by the macro.
pub(crate) fn function(task: &Task) -> TokenStream {
    match check::compiler_refuses(task) {
        true => stub(task),
        false => task.function.to_token_stream(),
    }
}

/// Generates a function with the user's name and parameters.
fn stub(task: &Task) -> TokenStream {
    let (cfgs, vis, sig) = (task.cfgs(), &task.function.vis, &task.function.sig);
    let (asyncness, name) = (&sig.asyncness, &sig.ident);
    let receiver =
        sig.receiver().map(|receiver| syn::Receiver { attrs: Vec::new(), ..receiver.clone() });
    let receiver = receiver.map(|receiver| quote!(#receiver,));
    let others = task.parameters.iter().filter(|parameter| parameter.receiver.is_none());
    let parameters = others.map(|parameter| match check::stands_alone(task, parameter) {
        true => parameter.ty().to_token_stream(),
        false => quote!(impl ::core::marker::Sized),
    });
    let output = (!tokens::is_inferred(task.output())).then(|| sig.output.to_token_stream());
    quote! {
        #(#cfgs)*
        #[allow(dead_code, deprecated, missing_docs, private_interfaces)]
        #vis #asyncness fn #name(#receiver #(_: #parameters),*) #output { loop {} }
    }
}

/// A field of the inert args, with a type parameter in place of its type if the type cannot be
/// repeated.
struct Field<'a> {
    name: &'a Ident,
    parameter: &'a Parameter,
    generic: Option<Ident>,
}

/// Generates the items that call sites name.
pub(crate) fn items(task: &Task) -> TokenStream {
    let fields = fields(task);
    let args = args_name(task);
    let (cfgs, vis) = (task.cfgs(), &task.function.vis);
    let generics: Vec<_> = fields.iter().filter_map(|field| field.generic.as_ref()).collect();
    let names = fields.iter().map(|field| field.name);
    let types = fields.iter().map(|field| match &field.generic {
        Some(generic) => generic.to_token_stream(),
        None => field.parameter.ty().to_token_stream(),
    });
    let derives = &task.derives;
    let derive = (!derives.is_empty()).then(|| quote!(#[derive(#(#derives),*)]));
    let (marker, block) = (marker(task), block(task, &fields, &args, &generics));
    quote! {
        #(#cfgs)*
        #[allow(dead_code, deprecated, missing_docs, non_snake_case, private_interfaces)]
        #derive
        #vis struct #args<#(#generics = ()),*> { #(#vis #names: #types,)* }
        #marker
        #(#cfgs)*
        #[allow(dead_code, deprecated, missing_docs, unused_variables)]
        const _: () = { #block };
    }
}

fn fields(task: &Task) -> Vec<Field<'_>> {
    let mut seen = HashSet::new();
    let unique = task.payload().filter(|(name, _)| seen.insert(names::plain(name)));
    let field = |(position, (name, parameter))| {
        let generic =
            (!check::stands_alone(task, parameter)).then(|| format_ident!("__T{position}"));
        Field { name, parameter, generic }
    };
    unique.enumerate().map(field).collect()
}

/// Returns the name of the args, changed if the task type has the same name.
fn args_name(task: &Task) -> Ident {
    if task.args == task.name { format_ident!("__{}", task.args) } else { task.args.clone() }
}

/// Generates the task type, unless its name would hide a primitive type and break the rest of the
/// module.
fn marker(task: &Task) -> Option<TokenStream> {
    let (cfgs, vis, name) = (task.cfgs(), &task.function.vis, &task.name);
    has_marker(task).then(|| {
        quote! {
            #(#cfgs)*
            #[allow(dead_code, missing_docs, non_camel_case_types)]
            #vis enum #name {}
        }
    })
}

fn has_marker(task: &Task) -> bool {
    !names::is_primitive(&names::plain(&task.name))
}

fn block(task: &Task, fields: &[Field<'_>], args: &Ident, generics: &[&Ident]) -> TokenStream {
    let (door, vis, import) = (&task.door, &task.function.vis, task.import());
    let has_marker = has_marker(task);
    let call = call(task, fields).filter(|_| has_marker || task.owner.is_some());
    let impls = has_marker.then(|| impls(task, args));
    quote! {
        #import
        impl<#(#generics),*> #args<#(#generics),*> {
            #vis fn defer(self) -> #door::Defer { loop {} }
        }
        #call
        #impls
    }
}

/// Generates an inert function under the name by which a call is deferred, if the name is free.
fn call(task: &Task, fields: &[Field<'_>]) -> Option<TokenStream> {
    let (door, vis, name) = (&task.door, &task.function.vis, &task.name);
    let others = fields.iter().filter(|field| field.parameter.receiver.is_none());
    let parameters = others.map(|Field { name, parameter, generic }| {
        let ty = parameter.ty();
        match generic {
            Some(_) => quote!(#name: impl ::core::marker::Sized),
            None if parameter.is_string() => quote!(#name: impl ::core::convert::Into<#ty>),
            None => quote!(#name: #ty),
        }
    });
    let Some(owner) = &task.owner else {
        return Some(quote! {
            impl #name {
                #vis fn defer(#(#parameters),*) -> #door::Defer { loop {} }
            }
        });
    };
    let receiver = task.sends_receiver().then(|| quote!(&self,));
    let (generics, _, clause) = owner.generics.split_for_impl();
    let ty = &owner.ty;
    task.call.as_ref().map(|call| {
        quote! {
            impl #generics #ty #clause {
                #vis fn #call(#receiver #(#parameters),*) -> #door::Defer { loop {} }
            }
        }
    })
}

/// Generates inert implementations of the traits that callers may require of the task type and the
/// args.
fn impls(task: &Task, args: &Ident) -> TokenStream {
    let (door, name) = (&task.door, &task.name);
    quote! {
        impl #door::Task for #name {
            const KIND: &'static ::core::primitive::str = "refused";
            const QUEUES: &'static [&'static ::core::primitive::str] = &["default"];
            type Args = #args;
            type Output = ();
            fn registration() -> &'static #door::Registration { loop {} }
        }
        impl #door::Args for #args {
            type Task = #name;
            fn encode(&self, _: &mut #door::Encoder) -> #door::Result<(), #door::UnreadableError> {
                loop {}
            }
            fn decode(_: &mut #door::Decoder<'_>) -> #door::Result<Self, #door::UnreadableError> {
                loop {}
            }
            fn trace(_: &mut #door::Tracer) -> #door::Result<(), #door::UnreadableError> { loop {} }
            fn describe(&self, _: &mut #door::fmt::Formatter<'_>) -> #door::fmt::Result { loop {} }
        }
    }
}
