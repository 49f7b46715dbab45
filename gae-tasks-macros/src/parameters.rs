//! The rules for parameters that are sent, and for parameters that are injected.

use std::collections::HashSet;

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Pat, Type};

use crate::errors::Errors;
use crate::item;
use crate::model::{Parameter, Role, Task};
use crate::names;
use crate::tokens::{borrows, has_word, is_context, is_unsized, peeled, placeholder};

/// Checks the rules for each parameter, and for all parameters together.
pub(crate) fn check(task: &Task, errors: &mut Errors) {
    doubled(task, errors);
    for parameter in &task.parameters {
        markers(parameter, errors);
        match &parameter.role {
            // `receiver` checks it.
            Role::Payload(_) if parameter.receiver.is_some() => {}
            Role::Payload(_) => payload(parameter, errors),
            Role::State { ty, borrowed } => state(parameter, ty, *borrowed, errors),
            Role::Context { .. } => context(parameter, errors),
        }
    }
    contexts(task, errors);
    fields(task, errors);
}

fn doubled(task: &Task, errors: &mut Errors) {
    for (name, is_second) in names_of_fields(task) {
        if is_second {
            errors.on(name, format!("`{name}` is the name of two parameters: rename one"));
        }
    }
}

/// Returns the names of the parameters that are sent, each with whether an earlier parameter has
/// the same name.
///
/// Injected parameters are left out: a name chosen by a macro and a name chosen by its caller may
/// have the same text and still differ.
pub(crate) fn names_of_fields(task: &Task) -> impl Iterator<Item = (&Ident, bool)> {
    let mut seen = HashSet::new();
    let named =
        task.payload().filter(|(_, parameter)| matches!(&*parameter.original.pat, Pat::Ident(_)));
    named.map(move |(field, _)| (field, !seen.insert(names::plain(field))))
}

fn markers(parameter: &Parameter, errors: &mut Errors) {
    for attr in &parameter.original.attrs {
        let path = attr.path();
        if (path.is_ident("state") || path.is_ident("context"))
            && attr.meta.require_path_only().is_err()
        {
            let word = path.to_token_stream();
            errors.on(attr, format!("`#[{word}]` takes no value: write `#[{word}]`"));
        } else if path.is_ident("cfg") || path.is_ident("cfg_attr") {
            errors.on(
                attr,
                "a parameter cannot have `#[cfg]`, because instances would disagree on the \
                 payload: put `#[cfg]` on two functions",
            );
        } else if item::is_ours(attr) {
            errors.on(
                attr,
                "`#[deferred]` is not a parameter attribute: remove it, or write `#[state]` or \
                 `#[context]`",
            );
        }
    }
    let marked = |word: &&str| {
        parameter.original.attrs.iter().filter(|attr| attr.path().is_ident(word)).count()
    };
    match ["state", "context"].iter().map(marked).sum() {
        0 | 1 => {}
        _ => errors.on(
            &parameter.original.pat,
            "this parameter is marked twice: keep one of `#[state]` and `#[context]`",
        ),
    }
}

fn payload(parameter: &Parameter, errors: &mut Errors) {
    match &*parameter.original.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {}
        Pat::Wild(_) => {}
        pat => errors.on(
            pat,
            "a parameter needs a name, because it becomes a field of the args: name it, and \
             destructure it in the body with `let`",
        ),
    }
    let ty = parameter.ty();
    if let Some(token) = placeholder(ty.to_token_stream()) {
        errors.on(token, "the type of a parameter cannot be inferred: replace `_` by the type");
    } else if is_unsized(ty) {
        errors.on(ty, format!("a task cannot take an unsized type: {}", owned_of(ty)));
    } else if has_word(ty.to_token_stream(), "impl") {
        errors.on(
            ty,
            "a task cannot take `impl Trait`, because a stored payload has one type: name the type",
        );
    } else if is_context(ty) {
        errors.on(ty, "the context is injected, not sent: mark the parameter `#[context]`");
    } else if borrows(ty.to_token_stream(), false) {
        errors.on(ty, format!("a task cannot borrow its arguments: {}", owned(peeled(ty))));
    }
}

/// Returns advice on what to take in place of a borrowed type.
fn owned(ty: &Type) -> String {
    let Type::Reference(reference) = ty else {
        return "take owned types in place of references and lifetimes".to_owned();
    };
    owned_of(&reference.elem)
}

/// Returns advice on what to take in place of a reference to `ty`, or of the unsized type `ty`.
fn owned_of(ty: &Type) -> String {
    let text = names::type_text(ty);
    match peeled(ty) {
        _ if borrows(ty.to_token_stream(), false) => "take an owned type".to_owned(),
        _ if is_context(ty) => "mark the parameter `#[context]`".to_owned(),
        Type::Path(_) if text == "str" => "take `String`".to_owned(),
        Type::Slice(slice) => format!("take `Vec<{}>`", names::type_text(&slice.elem)),
        Type::TraitObject(_) => {
            "take a type that can be stored, or mark the parameter `#[state]`".to_owned()
        }
        _ => format!("take `{text}`, or mark the parameter `#[state]` if it is injected, not sent"),
    }
}

fn state(parameter: &Parameter, ty: &Type, borrowed: bool, errors: &mut Errors) {
    if let Type::Reference(reference) = peeled(parameter.ty())
        && let Some(mutability) = &reference.mutability
    {
        let message = "state is shared by all handlers: take `&`, and keep mutable data in a \
                       `Mutex` or an atomic";
        return errors.on(mutability, message);
    }
    if let Some(token) = placeholder(ty.to_token_stream()) {
        return errors.on(token, "state is found by its type: replace `_` by the type");
    }
    let is_static = match peeled(parameter.ty()) {
        Type::Reference(reference) => reference.lifetime.is_some(),
        _ => false,
    };
    if is_static || borrows(ty.to_token_stream(), false) {
        errors.on(
            parameter.ty(),
            "state is borrowed for one call: take `&T` without a lifetime, where `T` is an owned \
             type",
        );
    } else if has_word(ty.to_token_stream(), "impl") {
        errors.on(ty, "state is found by its type: replace `impl Trait` by the type");
    } else if borrowed && matches!(peeled(ty), Type::TraitObject(_) | Type::Slice(_))
        || names::type_text(ty) == "str"
    {
        let text = names::type_text(peeled(ty)).replace('+', " + ");
        errors.on(ty, format!("state is found by its sized type: take `&Arc<{text}>`"));
    }
}

fn context(parameter: &Parameter, errors: &mut Errors) {
    if let Type::Reference(reference) = peeled(parameter.ty()) {
        if let Some(mutability) = &reference.mutability {
            errors.on(mutability, "the context cannot be changed: take `&TaskContext`");
        } else if let Some(lifetime) = &reference.lifetime {
            errors.on(
                lifetime,
                "the context is borrowed for one call: take `&TaskContext` without a lifetime",
            );
        }
    }
}

fn contexts(task: &Task, errors: &mut Errors) {
    let contexts =
        task.parameters.iter().filter(|parameter| matches!(parameter.role, Role::Context { .. }));
    for second in contexts.skip(1) {
        errors
            .on(&second.original.pat, "a task has one context: remove this `#[context]` parameter");
    }
}

fn fields(task: &Task, errors: &mut Errors) {
    let is_named = |(_, one): &(&Ident, &Parameter)| matches!(&*one.original.pat, Pat::Ident(_));
    let (named, unnamed): (Vec<_>, Vec<_>) = task.payload().partition(is_named);
    for (field, _) in named {
        let is_same = |(other, _): &&(&Ident, _)| names::plain(other) == names::plain(field);
        let Some((_, other)) = unnamed.iter().find(is_same) else { continue };
        let message = match other.receiver {
            Some(_) => format!(
                "`{field}` is also the field name of `self` in the args: rename this parameter"
            ),
            None => format!(
                "`{field}` is also the field name of an unnamed parameter: rename this parameter, \
                 or name the other"
            ),
        };
        errors.at(field.span(), message);
    }
}
