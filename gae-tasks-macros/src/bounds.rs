//! Generates the code that requires traits of the user's types, spanned on those types.
//!
//! Generated code requires each bound in exactly one place, so that a missing impl is one error:
//! `Serialize` where a parameter is encoded, `Deserialize` where a parameter is decoded, the bounds
//! of a state where the state is fetched, and `Send` of the parameters and `TaskOutput` of the
//! output in checks that do nothing else. Code that follows from these bounds uses wrappers that
//! accept any type and choose between two implementations: a future cannot be `Send` if a parameter
//! is not, and one error about the parameter is enough.
//!
//! The generated variables are never spanned on a user's type. A type that a macro has passed on
//! has the hygiene of that macro's caller, where the variables are not known.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Index, Lit, Type};

use crate::marks::DefaultOf;
use crate::model::{Parameter, Task};
use crate::receiver::Taken;

/// Encodes the fields of the args.
pub(crate) fn encoded_args(task: &Task) -> TokenStream {
    let door = &task.door;
    if task.sends_receiver() {
        let fields = task.payload().map(|(field, _)| field);
        return quote!(__write(__payload, (#(&self.#fields,)*)));
    }
    let encoded = task
        .payload()
        .map(|(field, parameter)| encoded(task, field, parameter, &quote!(&self.#field)));
    quote! {
        #(#encoded)*
        #door::Result::Ok(())
    }
}

/// Generates the function that encodes the parameters of a method by reference: those of its args,
/// and those of a call, which only borrows the receiver.
pub(crate) fn write(task: &Task) -> Option<TokenStream> {
    let door = &task.door;
    let types = task.payload().map(|(_, parameter)| parameter.ty());
    let encoded = task.payload().enumerate().map(|(position, (field, parameter))| {
        let position = Index::from(position);
        encoded(task, field, parameter, &quote!(__sent.#position))
    });
    task.sends_receiver().then(|| {
        quote! {
            fn __write(
                __payload: &mut #door::Encoder,
                __sent: (#(&#types,)*),
            ) -> #door::Result<(), #door::UnreadableError> {
                #(#encoded)*
                #door::Result::Ok(())
            }
        }
    })
}

/// Encodes a parameter, which requires `Serialize`.
fn encoded(task: &Task, field: &Ident, parameter: &Parameter, value: &TokenStream) -> TokenStream {
    let (door, ty, name) = (&task.door, parameter.ty(), parameter.sent_as(field));
    let payload = quote!(__payload);
    quote_spanned!(ty.span()=> #door::Encoder::parameter::<#ty>(#payload, #name, #value)?;)
}

/// Decodes a parameter, which requires `Deserialize`.
pub(crate) fn decoded(task: &Task, field: &Ident, parameter: &Parameter) -> TokenStream {
    let (door, ty, name) = (&task.door, parameter.ty(), parameter.sent_as(field));
    let payload = quote!(__payload);
    let default = match &parameter.marks.default {
        None => {
            return quote_spanned! {ty.span()=>
                #field: #door::Decoder::parameter::<#ty>(#payload, #name)?
            };
        }
        Some(DefaultOf::Type) => {
            quote_spanned!(ty.span()=> <#ty as #door::DefaultParameter>::value)
        }
        Some(DefaultOf::Value(expr)) => default(task, parameter, expr),
    };
    quote_spanned! {ty.span()=>
        #field: #door::Decoder::parameter_or::<#ty>(#payload, #name, #default)?
    }
}

/// Generates the value of a default.
pub(crate) fn default_value(task: &Task, parameter: &Parameter, of: &DefaultOf) -> TokenStream {
    match of {
        DefaultOf::Type => {
            let (door, ty) = (&task.door, parameter.ty());
            quote!(<#ty as #door::DefaultParameter>::value())
        }
        DefaultOf::Value(expr) => {
            let function = default(task, parameter, expr);
            quote!({ let __value = #function; __value() })
        }
    }
}

/// Generates the function of a default, in which the expression sees nothing that is generated.
fn default(task: &Task, parameter: &Parameter, expr: &Expr) -> TokenStream {
    let (ty, written) = (parameter.ty(), task.resolved(expr.to_token_stream()));
    // As in `defer`, a text is enough for a `String`.
    let value = match parameter.is_string() && is_text(expr) {
        true => quote!(<#ty as ::core::convert::From<_>>::from(#written)),
        false => written,
    };
    quote!({ fn __default() -> #ty { #value } __default })
}

/// Whether an expression is a string literal, perhaps one that a macro passes on.
fn is_text(expr: &Expr) -> bool {
    match expr {
        Expr::Group(group) => is_text(&group.expr),
        Expr::Lit(literal) => matches!(literal.lit, Lit::Str(_)),
        _ => false,
    }
}

/// Traces a parameter, if it is one that [`decoded`] lets pass.
pub(crate) fn traced(task: &Task, field: &Ident, parameter: &Parameter) -> TokenStream {
    let (door, ty, name) = (&task.door, parameter.ty(), parameter.sent_as(field));
    quote!((&&#door::Traceable::<#ty>::new(#name)).trace(__tracer)?;)
}

/// A function that is never called; it requires `Send` of the parameters, `Sync` of a receiver that
/// is borrowed across an `.await`, and `TaskOutput` of the output.
pub(crate) fn checks(task: &Task) -> TokenStream {
    let (door, output) = (&task.door, task.output());
    let parameters = task.payload().map(|(_, parameter)| {
        let ty = parameter.ty();
        quote_spanned!(ty.span()=> #door::parameter::<#ty>();)
    });
    let shared = shared(task).map(|ty| quote_spanned!(ty.span()=> #door::shared::<#ty>();));
    let output = quote_spanned!(output.span()=> #door::output::<#output>(););
    quote! {
        fn __bounds() {
            #(#parameters)*
            #shared
            #output
        }
    }
}

/// Returns the type of a receiver that a future borrows from the args.
fn shared(task: &Task) -> Option<&Type> {
    task.function.sig.asyncness.as_ref()?;
    let is_borrowed = |parameter: &Parameter| parameter.receiver == Some(Taken::ByReference);
    task.payload()
        .find(|(_, parameter)| is_borrowed(parameter))
        .map(|(_, parameter)| parameter.ty())
}

/// Fetches a state, which requires `Send`, `Sync` and `'static`.
pub(crate) fn fetched(task: &Task, ty: &Type) -> TokenStream {
    let (door, call) = (&task.door, quote!(__call));
    quote_spanned!(ty.span()=> #door::Call::state::<#ty>(#call)?)
}

/// Copies a state that is taken by value, which requires `Clone`.
pub(crate) fn cloned(ty: &Type, state: &Ident) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as ::core::clone::Clone>::clone(&*#state))
}

/// Drops the success value of a call if the output passes [`checks`].
pub(crate) fn result(task: &Task, call: &TokenStream) -> TokenStream {
    let (door, output) = (&task.door, task.output());
    // Awaited before the wrapper is created: values that live across an await must be `Send`.
    quote! {{
        let __output = #call;
        (&&#door::Returned::<#output>::new()).result(__output)
    }}
}

/// Makes the work of a future or a closure, `Send` if every value moved into it is `Send`.
pub(crate) fn work(task: &Task, body: &TokenStream) -> TokenStream {
    let (door, sig) = (&task.door, &task.function.sig);
    let parameters = task.payload().map(|(_, parameter)| parameter.ty());
    let (states, shared) = (task.states(), shared(task).map(|ty| quote!(&'static #ty,)));
    let moved = quote!((#(#parameters,)* #shared #(#door::Arc<#states>,)*));
    match &sig.asyncness {
        Some(token) => {
            quote_spanned! {token.span=>
                (&&#door::Moved::<#moved>::new()).future(async move { #body })
            }
        }
        None => {
            quote_spanned! {sig.fn_token.span=>
                (&&#door::Moved::<#moved>::new()).call(move || { #body })
            }
        }
    }
}
