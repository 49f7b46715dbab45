//! The rules of parameters: what may be sent, and what may be injected.

use std::collections::HashSet;

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Pat, Type};

use crate::errors::Errors;
use crate::item;
use crate::model::{Parameter, Role, Task, peeled};
use crate::names;
use crate::tokens::{borrows, has_word, is_context, is_unsized, placeholder};

/// The rules of each parameter, and of all of them together.
pub(crate) fn check(task: &Task, errors: &mut Errors) {
    doubled(task, errors);
    for parameter in &task.parameters {
        markers(parameter, errors);
        match &parameter.role {
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

/// The names of the parameters that are sent, each with whether an earlier one has the same.
///
/// Not of the injected ones: two names that a macro and its caller chose may look alike and differ.
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
            errors.on(attr, format!("`#[{word}]` takes no value, the parameter's type says it all: write `#[{word}]`"));
        } else if path.is_ident("cfg") || path.is_ident("cfg_attr") {
            errors.on(
                attr,
                "a parameter cannot depend on `cfg`, instances would disagree on the payload: put `#[cfg]` on two \
                 whole functions",
            );
        } else if item::is_ours(attr) {
            errors.on(attr, "`#[deferred]` is not a parameter attribute: a parameter takes `#[state]` or `#[context]`");
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
            "a parameter needs a name, it is a field of the args: name it, and take it apart in the body with `let`",
        ),
    }
    let ty = parameter.ty();
    if let Some(token) = placeholder(ty.to_token_stream()) {
        errors.on(token, "the type of a parameter is not inferred: name the type in place of `_`");
    } else if is_unsized(ty) {
        errors.on(ty, format!("a task cannot take what has no size of its own: {}", owned_of(ty)));
    } else if has_word(ty.to_token_stream(), "impl") {
        errors.on(
            ty,
            "a task cannot take `impl Trait`, a stored payload has one type: name the type",
        );
    } else if is_context(ty) {
        errors.on(ty, "the context is not sent: mark it `#[context]`");
    } else if borrows(ty.to_token_stream(), false) {
        errors.on(ty, format!("a task cannot borrow what it is sent: {}", owned(peeled(ty))));
    }
}

/// What to take in place of a borrowed type.
fn owned(ty: &Type) -> String {
    let Type::Reference(reference) = ty else {
        return "take owned types in place of references and lifetimes".to_owned();
    };
    owned_of(&reference.elem)
}

/// What to take in place of a type that is only borrowed.
fn owned_of(ty: &Type) -> String {
    let text = names::type_text(ty);
    match peeled(ty) {
        _ if borrows(ty.to_token_stream(), false) => "take an owned type".to_owned(),
        _ if is_context(ty) => "mark it `#[context]`".to_owned(),
        Type::Path(_) if text == "str" => "take `String`".to_owned(),
        Type::Slice(slice) => format!("take `Vec<{}>`", names::type_text(&slice.elem)),
        Type::TraitObject(_) => "take a type that can be stored, or mark it `#[state]`".to_owned(),
        _ => format!("take `{text}`, or mark it `#[state]` if it is not sent but injected"),
    }
}

fn state(parameter: &Parameter, ty: &Type, borrowed: bool, errors: &mut Errors) {
    if let Type::Reference(reference) = peeled(parameter.ty())
        && let Some(mutability) = &reference.mutability
    {
        let message = "state is shared by all handlers: take `&`, and put what changes behind a `Mutex` or an atomic";
        return errors.on(mutability, message);
    }
    if let Some(token) = placeholder(ty.to_token_stream()) {
        return errors.on(token, "state is found by its type: name the type in place of `_`");
    }
    let is_static = matches!(peeled(parameter.ty()), Type::Reference(reference) if reference.lifetime.is_some());
    if is_static || borrows(ty.to_token_stream(), false) {
        errors.on(
            parameter.ty(),
            "state is borrowed for one call: take `&T`, without a lifetime, of a type that owns",
        );
    } else if has_word(ty.to_token_stream(), "impl") {
        errors.on(ty, "state is found by its type: name the type in place of `impl Trait`");
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
                "the context is borrowed for one call: take `&TaskContext`, without a lifetime",
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
    let ignored = |parameter: &Parameter| !matches!(&*parameter.original.pat, Pat::Ident(_));
    let of_ignored: Vec<_> =
        task.payload().filter(|(_, p)| ignored(p)).map(|(field, _)| field).collect();
    for (field, parameter) in task.payload() {
        if !ignored(parameter)
            && of_ignored.iter().any(|other| names::plain(other) == names::plain(field))
        {
            let message = format!(
                "`{field}` is the field of an unnamed parameter: give that one a name, or this one another"
            );
            errors.at(field.span(), message);
        }
    }
}
