//! Expands a task without errors into the user's function, its args, its task type, and one `const`
//! block.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::model::{Parameter, Role, Task};
use crate::receiver::Taken;
use crate::tokens::at;
use crate::{bounds, calls, cron, names, registration, upgrade};

/// Expands a valid task. The function comes first, because editors resolve a user's token to its
/// first occurrence in the expansion.
pub(crate) fn expand(task: &Task) -> TokenStream {
    let (function, items) = (function(task), items(task));
    quote!(#function #items)
}

/// Generates the user's function.
pub(crate) fn function(task: &Task) -> TokenStream {
    let function = &task.function;
    // Arguments are owned even where the body only borrows them.
    let owned =
        function.sig.asyncness.is_none().then(|| quote!(#[allow(clippy::needless_pass_by_value)]));
    quote!(#owned #function)
}

/// Generates the items beside the function, or beside the `impl` that the function is in.
pub(crate) fn items(task: &Task) -> TokenStream {
    let (args, marker) = (args_struct(task), task_type(task));
    let (cfgs, block) = (task.cfgs(), block(task));
    quote! {
        #args
        #marker
        #(#cfgs)*
        #[allow(
            dead_code, deprecated, unreachable_code, unreachable_patterns, unused_imports,
            unused_variables,
            clippy::all, clippy::pedantic
        )]
        const _: () = { #block };
    }
}

fn args_struct(task: &Task) -> TokenStream {
    let (args, derives, shared, vis) =
        (&task.args, &task.derives, task.shared(), &task.function.vis);
    let function = task.title();
    let doc = format!("The arguments of the task `{function}`.");
    let fields = task.payload().map(|(field, parameter)| {
        let (docs, ty) = (parameter.docs(), parameter.ty());
        let doc = format!("The parameter `{}` of `{function}`.", parameter.sent_as(field));
        let docs = or_else(docs, &doc);
        quote!(#docs #vis #field: #ty)
    });
    let derive = (!derives.is_empty()).then(|| quote!(#[derive(#(#derives),*)]));
    quote! {
        #(#shared)*
        #[doc = #doc]
        #[allow(
            dead_code, deprecated, missing_debug_implementations, non_snake_case,
            private_interfaces, clippy::all, clippy::pedantic, clippy::exhaustive_structs
        )]
        #derive
        #vis struct #args { #(#fields,)* }
    }
}

fn task_type(task: &Task) -> TokenStream {
    let (name, shared, vis) = (&task.name, task.shared(), &task.function.vis);
    let doc = format!("The task type of the function `{}`.", task.title());
    let docs = or_else(task.summary().into_iter(), &doc);
    let facts = facts(task);
    quote! {
        #(#shared)*
        #docs
        #facts
        #[allow(
            dead_code, missing_debug_implementations, non_camel_case_types,
            clippy::all, clippy::pedantic, clippy::exhaustive_enums
        )]
        #vis enum #name {}
    }
}

/// Generates docs of the attribute's settings: kind, queues, deadline, attempts, backoff and
/// schedule.
fn facts(task: &Task) -> TokenStream {
    let settings = &task.settings;
    let kind = match &settings.kind {
        Some(kind) => quote!(#kind, "`"),
        None => {
            let function = task.name_in_kind();
            quote!(::core::module_path!(), "/", #function, "`, each `::` written as `.`")
        }
    };
    let queues: Vec<_> = settings.queues.iter().map(|queue| format!("`{queue}`")).collect();
    let queues = format!("- Queue: {}", queues.join(", "));
    let deadline = match settings.deadline {
        Some(deadline) => format!("- Deadline: {}", humantime::format_duration(deadline)),
        None => "- Deadline: 10 minutes, the default".to_owned(),
    };
    let attempts = match settings.max_attempts {
        Some(1) => "- Attempts: 1".to_owned(),
        Some(attempts) => format!("- Attempts: at most {attempts}, or the queue's limit if lower"),
        None => "- Attempts: as many as the queue allows".to_owned(),
    };
    let schedule = cron::fact(task).map(|fact| quote!(#[doc = #fact]));
    let backoff = format!("- Backoff: {}", backoff(settings.min_backoff, settings.max_backoff));
    quote! {
        #[doc = ""]
        #[doc = ::core::concat!("- Kind: `", #kind)]
        #[doc = #queues]
        #[doc = #deadline]
        #[doc = #attempts]
        #[doc = #backoff]
        #schedule
    }
}

/// Describes the pauses before retries.
fn backoff(min: Option<Duration>, max: Option<Duration>) -> String {
    match (min.map(humantime::format_duration), max.map(humantime::format_duration)) {
        (None, None) => "the queue's".to_owned(),
        (Some(min), None) => format!("from {min} to the queue's maximum"),
        (None, Some(max)) => format!("the queue's, at most {max}"),
        (Some(min), Some(max)) => format!("from {min} to {max}"),
    }
}

/// Returns the user's docs, or `doc` if there are none, so that generated items pass
/// `deny(missing_docs)`.
fn or_else<'a>(docs: impl Iterator<Item = &'a syn::Attribute>, doc: &str) -> TokenStream {
    let mut docs = docs.peekable();
    if docs.peek().is_some() { quote!(#(#docs)*) } else { quote!(#[doc = #doc]) }
}

fn block(task: &Task) -> TokenStream {
    let parts = [
        task.import(),
        calls::functions(task),
        kind(task),
        impl_task(task),
        upgrade::function(task).unwrap_or_default(),
        bounds::write(task).unwrap_or_default(),
        impl_args(task),
        bounds::checks(task),
        run(task),
    ];
    parts.into_iter().collect()
}

/// Generates the kind as a constant: the given name, or the module path and the function's name.
fn kind(task: &Task) -> TokenStream {
    if let Some(kind) = &task.settings.kind {
        return quote!(const __KIND: &::core::primitive::str = #kind;);
    }
    let ident = &task.function.sig.ident;
    let (function, door) = (task.name_in_kind(), at(ident.span(), task.door.clone()));
    // Spanned on the function's name, so that the compiler reports an unsuitable module path there.
    quote_spanned! {ident.span()=>
        const __PATH: &::core::primitive::str =
            ::core::concat!(::core::module_path!(), "/", #function);
        const __BYTES: &[::core::primitive::u8] =
            &#door::kind_bytes::<{ #door::kind_len(__PATH) }>(__PATH);
        const __KIND: &::core::primitive::str = #door::kind_str(__BYTES);
    }
}

fn impl_task(task: &Task) -> TokenStream {
    let (door, args, name, queues) = (&task.door, &task.args, &task.name, &task.settings.queues);
    let output = task.output();
    let output = quote_spanned!(output.span()=> type Output = #output;);
    let registration = registration::element(task);
    quote! {
        #[automatically_derived]
        impl #door::Task for #name {
            const KIND: &'static ::core::primitive::str = __KIND;
            const QUEUES: &'static [&'static ::core::primitive::str] = &[#(#queues),*];
            type Args = #args;
            #output
            fn registration() -> &'static #door::Registration {
                #registration
            }
        }
    }
}

fn impl_args(task: &Task) -> TokenStream {
    let (door, args, name) = (&task.door, &task.args, &task.name);
    let encoded = bounds::encoded_args(task);
    let decoded = task.payload().map(|(field, parameter)| bounds::decoded(task, field, parameter));
    let traced = task.payload().map(|(field, parameter)| bounds::traced(task, field, parameter));
    let described = task.payload().map(|(field, parameter)| {
        let plain = names::plain(field);
        match task.is_sensitive(field, parameter) {
            true => quote!(.field(#plain, &#door::Unshown)),
            false => quote!(.field(#plain, (&&#door::Described(&self.#field)).value())),
        }
    });
    let upgraded = upgrade::method(task);
    let args_name = args.to_string();
    quote! {
        #[automatically_derived]
        impl #door::Args for #args {
            type Task = #name;
            fn encode(
                &self,
                __payload: &mut #door::Encoder,
            ) -> #door::Result<(), #door::UnreadableError> {
                #encoded
            }
            fn decode(
                __payload: &mut #door::Decoder<'_>,
            ) -> #door::Result<Self, #door::UnreadableError> {
                #door::Result::Ok(Self { #(#decoded,)* })
            }
            #upgraded
            fn trace(__tracer: &mut #door::Tracer) -> #door::Result<(), #door::UnreadableError> {
                use #door::{TraceDeserialize as _, TraceOther as _};
                #(#traced)*
                #door::Result::Ok(())
            }
            fn describe(&self, __f: &mut #door::fmt::Formatter<'_>) -> #door::fmt::Result {
                use #door::{DescribedDebug as _, DescribedOther as _};
                __f.debug_struct(#args_name) #(#described)* .finish()
            }
        }
    }
}

/// Generates the function that dispatch calls.
fn run(task: &Task) -> TokenStream {
    let (door, args, function) = (&task.door, &task.args, called(task));
    let states = task.states().enumerate().map(|(position, ty)| {
        let (state, fetched) = (state(position), bounds::fetched(task, ty));
        quote!(let #state = #fetched;)
    });
    let arguments = arguments(task);
    let poll = task.function.sig.asyncness.is_some().then(|| quote!(.await));
    let result = bounds::result(task, &quote!(#function(#(#arguments),*) #poll));
    let outcome = quote! {
        match #result {
            #door::Result::Ok(()) => #door::Outcome::Done,
            #door::Result::Err(__failed) => {
                let __error = &__failed.error;
                let __intent = #door::downcast_intent(
                    __error.downcast_ref(), __error.downcast_ref(), __error.downcast_ref(),
                );
                #door::failed(__intent.or((&&#door::Probe(__error)).intent()), __failed)
            }
        }
    };
    let work = bounds::work(task, &outcome);
    quote! {
        fn __run(__call: &#door::Call<'_>) -> #door::Result<#door::Work, #door::CallError> {
            use #door::{
                DowncastRef as _, MovedOther as _, MovedSend as _, ProbeAsRef as _,
                ProbeNothing as _,
                ReturnedOther as _, ReturnedOutput as _,
            };
            let __args = __call.args::<#args>()?;
            let __context = __call.context();
            #(#states)*
            #door::Result::Ok(#work)
        }
    }
}

/// Returns the path of the user's function.
fn called(task: &Task) -> TokenStream {
    let function = &task.function.sig.ident;
    match &task.owner {
        None => quote!(#function),
        Some(owner) => {
            let ty = &owner.ty;
            quote!(<#ty>::#function)
        }
    }
}

/// Generates the arguments of the call of the user's function, in the order of its parameters.
fn arguments(task: &Task) -> Vec<TokenStream> {
    let mut states = 0;
    let argument = |parameter: &Parameter| match &parameter.role {
        Role::Payload(field) if parameter.receiver == Some(Taken::ByReference) => {
            quote!(&__args.#field)
        }
        Role::Payload(field) => quote!(__args.#field),
        Role::Context { borrowed: true } => at(parameter.ty().span(), quote!(&__context)),
        Role::Context { borrowed: false } => at(parameter.ty().span(), quote!(__context)),
        Role::State { ty, borrowed } => {
            let state = state(states);
            states += 1;
            if *borrowed { quote!(&*#state) } else { bounds::cloned(ty, &state) }
        }
    };
    task.parameters.iter().map(argument).collect()
}

fn state(position: usize) -> Ident {
    format_ident!("__state_{position}")
}
