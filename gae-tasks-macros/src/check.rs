//! The rules for the attribute's values and the function. Each broken rule is recorded at the
//! user's token, with the fix in the message.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{FnArg, GenericParam, LitInt, LitStr, Safety, Signature, Type};

use crate::args::Attribute;
use crate::cron;
use crate::errors::Errors;
use crate::evolution;
use crate::item;
use crate::model::{Parameter, Settings, Task};
use crate::names;
use crate::parameters::{self, names_of_fields};
use crate::place;
use crate::receiver;
use crate::tokens::{borrows, find_word, has_word, is_inferred, is_unsized, placeholder};

/// Returns the values of the attribute, each checked against its syntax.
pub(crate) fn settings(attribute: &Attribute, errors: &mut Errors) -> Settings {
    let (min_backoff, max_backoff) = backoff(attribute, errors);
    Settings {
        min_backoff,
        max_backoff,
        queues: queues(attribute, errors),
        kind: attribute.name.as_ref().map(|name| kind(name, errors)),
        aliases: aliases(attribute, errors),
        ignores: evolution::paths(&attribute.ignores, errors),
        sensitive: evolution::paths(&attribute.sensitive, errors),
        upgrades: evolution::upgrades(&attribute.upgrades, errors),
        deadline: attribute.deadline.as_ref().and_then(|text| deadline(text, errors)),
        max_attempts: attribute
            .max_attempts
            .as_ref()
            .and_then(|number| max_attempts(number, errors)),
        priority: attribute.priority.as_ref().and_then(|number| priority(number, errors)),
        unique_by: unique_by(attribute, errors),
        cron: cron::schedule(attribute, errors),
    }
}

fn queues(attribute: &Attribute, errors: &mut Errors) -> Vec<String> {
    let Some(queues) = &attribute.queues else { return vec!["default".to_owned()] };
    if queues.is_empty() {
        errors.at(
            attribute.key("queues"),
            "`queues` is empty: name at least one queue, or leave the key out",
        );
    }
    for queue in queues.iter().filter(|queue| !names::is_queue(&queue.value())) {
        errors.on(
            queue,
            format!(
                "`{:?}` is not a valid queue name: use 1 to 100 of `A-Z`, `a-z`, `0-9` and `-`",
                queue.value()
            ),
        );
    }
    unique(queues, errors)
}

fn aliases(attribute: &Attribute, errors: &mut Errors) -> Vec<String> {
    let mut aliases = unique(&attribute.aliases, errors);
    for alias in &attribute.aliases {
        kind(alias, errors);
        if attribute.name.as_ref().is_some_and(|name| name.value() == alias.value()) {
            errors
                .on(alias, "this alias equals the current `name`: remove the alias, or rename one");
        }
    }
    aliases.sort_unstable();
    aliases
}

fn kind(name: &LitStr, errors: &mut Errors) -> String {
    let value = name.value();
    if !names::is_kind(&value) {
        errors.on(
            name,
            format!(
                "`{value:?}` is not a valid task kind: use segments of `A-Z`, `a-z`, `0-9`, `.`, \
                 `_` and `-`, none empty or of dots only, joined by `/`"
            ),
        );
    }
    value
}

/// Returns `min_backoff` and `max_backoff`. Neither may be zero, nor `min_backoff` above
/// `max_backoff`.
fn backoff(attribute: &Attribute, errors: &mut Errors) -> (Option<Duration>, Option<Duration>) {
    let mut pause = |text: &LitStr| {
        duration(text, errors).filter(|pause| {
            if pause.is_zero() {
                errors.on(text, "a backoff cannot be zero: write a longer duration, such as `1s`");
            }
            !pause.is_zero()
        })
    };
    let min = attribute.min_backoff.as_ref().and_then(&mut pause);
    let max = attribute.max_backoff.as_ref().and_then(&mut pause);
    if let (Some(text), Some(least), Some(most)) = (&attribute.min_backoff, min, max)
        && least > most
    {
        errors.on(
            text,
            "`min_backoff` is above `max_backoff`: lower `min_backoff`, or raise `max_backoff`",
        );
    }
    (min, max)
}

fn deadline(text: &LitStr, errors: &mut Errors) -> Option<Duration> {
    let deadline = duration(text, errors)?;
    if deadline.is_zero() {
        errors.on(text, "a deadline cannot be zero: write a longer duration, such as `30s`");
        return None;
    }
    Some(deadline)
}

fn duration(text: &LitStr, errors: &mut Errors) -> Option<Duration> {
    let duration = humantime::parse_duration(&text.value());
    if duration.is_err() {
        errors.on(
            text,
            format!(
                "`{:?}` is not a valid duration: write a number and a unit, as in `30s`, `5m` or \
                 `1h 30m`",
                text.value()
            ),
        );
    }
    duration.ok()
}

fn max_attempts(number: &LitInt, errors: &mut Errors) -> Option<u32> {
    match number.base10_parse::<u32>() {
        Ok(0) => errors.on(number, "`max_attempts` counts the first attempt: write at least 1"),
        Ok(attempts) => return Some(attempts),
        Err(_) => {
            let message = format!("`max_attempts` is too large: write at most {}", u32::MAX);
            errors.on(number, message);
        }
    }
    None
}

fn priority(number: &LitInt, errors: &mut Errors) -> Option<i8> {
    let value = number.base10_parse::<i8>().ok().filter(|value| (-100..=100).contains(value));
    if value.is_none() {
        errors.on(number, "`priority` is out of range: write -100 to 100, higher is sooner");
    }
    value
}

/// Returns the parameters that the task is unique by.
fn unique_by(attribute: &Attribute, errors: &mut Errors) -> Option<Vec<LitStr>> {
    let names = attribute.unique_by.as_ref()?;
    if names.is_empty() {
        errors.at(
            attribute.key("unique_by"),
            "`unique_by` is empty: name at least one parameter, or leave the key out",
        );
    }
    unique(names, errors);
    Some(names.clone())
}

/// Returns the distinct values of a list and records an error for each repeated value.
fn unique(list: &[LitStr], errors: &mut Errors) -> Vec<String> {
    let mut values = Vec::new();
    for literal in list {
        let value = literal.value();
        if values.contains(&value) {
            errors.on(literal, format!("`{value:?}` is listed twice: keep one"));
        } else {
            values.push(value);
        }
    }
    values
}

/// Checks the rules for the function.
pub(crate) fn function(task: &Task, errors: &mut Errors) {
    for attr in task.function.attrs.iter().filter(|attr| item::is_ours(attr)) {
        errors.on(attr, "`#[deferred]` is given twice: put all keys into one attribute");
    }
    let sig = &task.function.sig;
    if let Some(token) = of_an_impl(task) {
        return errors.on(
            token,
            "a function of an `impl` is a task if the `impl` carries `#[deferred]` too: put it \
             there; outside of an `impl`, `self` and `Self` mean nothing",
        );
    }
    if let (Some(owner), Some(receiver)) = (&task.owner, sig.receiver()) {
        receiver::check(receiver, owner, errors);
    }
    qualifiers(sig, errors);
    generics(sig, errors);
    output(sig, errors);
    task_names(task, errors);
    parameters::check(task, errors);
    evolution::check(task, errors);
    cron::check(task, errors);
}

/// Returns the token that shows that the function is inside an `impl` without the attribute: its
/// `self`, or a `Self`; or its name, if only the source file shows that.
fn of_an_impl(task: &Task) -> Option<TokenStream> {
    if task.owner.is_some() {
        return None;
    }
    let sig = &task.function.sig;
    if let Some(FnArg::Receiver(receiver)) = sig.inputs.first() {
        return Some(receiver.to_token_stream());
    }
    let signature = find_word(sig.to_token_stream(), &["Self"]);
    let word = signature.or_else(|| {
        // Items in the body may have a `Self` of their own.
        let body = task.function.body();
        find_word(body.clone(), &["Self"])
            .filter(|_| find_word(body, &["impl", "trait", "struct", "enum"]).is_none())
    });
    let name = || Some(&sig.ident).filter(|name| place::is_in_impl(name)).cloned();
    word.or_else(name).map(Ident::into_token_stream)
}

fn qualifiers(sig: &Signature, errors: &mut Errors) {
    if let Some(token) = &sig.constness {
        errors.on(
            token,
            "a task cannot be a `const fn`: remove `const`, or call the `const fn` from a task",
        );
    }
    if let Safety::Unsafe(token) = &sig.safety {
        errors.on(
            token,
            "a task cannot be `unsafe`, because a worker cannot uphold its safety contract: wrap \
             the unsafe call in a safe function",
        );
    }
    if let Some(abi) = &sig.abi {
        errors.on(abi, "a task cannot be `extern`: call the extern function from a task");
    }
    if let Some(variadic) = &sig.variadic {
        errors.on(variadic, "a task cannot be variadic: take a `Vec` in place of `...`");
    }
}

fn generics(sig: &Signature, errors: &mut Errors) {
    for parameter in &sig.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => errors.on(
                &lifetime.lifetime,
                "a task cannot have lifetime parameters, because its arguments outlive the caller: \
                 take owned types",
            ),
            GenericParam::Type(ty) => generic(&ty.ident, errors),
            GenericParam::Const(constant) => generic(&constant.ident, errors),
        }
    }
    if let Some(clause) = &sig.generics.where_clause {
        errors.on(clause, "a task cannot have a `where` clause: remove it");
    }
}

fn generic(parameter: &Ident, errors: &mut Errors) {
    let message = "a task cannot be generic, because a stored payload has one type: write a task \
                   for each type, or take an enum";
    errors.on(parameter, message);
}

fn output(sig: &Signature, errors: &mut Errors) {
    let syn::ReturnType::Type(_, ty) = &sig.output else { return };
    if let Some(token) = placeholder(ty.to_token_stream()) {
        errors.on(token, "the return type of a task cannot be inferred: replace `_` by the type");
    } else if has_word(ty.to_token_stream(), "impl") {
        errors.on(ty, "a task cannot return `impl Trait`: return `()` or `Result<_, E>`");
    } else if borrows(ty.to_token_stream(), true) {
        errors.on(
            ty,
            "a task cannot return a borrowed value: return `()` or `Result<_, E>` of owned types",
        );
    }
}

fn task_names(task: &Task, errors: &mut Errors) {
    let name = names::plain(&task.name);
    if names::is_primitive(&name) {
        errors.on(
            &task.name,
            format!(
                "the task type would hide the primitive type `{name}` in this module: rename the \
                 function, or give the task type another name with `task = ..`"
            ),
        );
    }
    if task.args == task.name {
        errors.on(
            &task.args,
            format!(
                "the task type and its args are both named `{}`: rename one with `task = ..` or \
                 `args = ..`",
                task.args
            ),
        );
    }
    let function = task.name_in_kind();
    if !function.is_ascii() && task.settings.kind.is_none() {
        errors.on(
            &task.function.sig.ident,
            format!("a kind must be ASCII, but `{function}` is not: add `name = \"..\"`"),
        );
    }
}

/// Whether the function is in an `impl` without the attribute, where no items can be generated.
pub(crate) fn is_method(task: &Task) -> bool {
    of_an_impl(task).is_some()
}

/// Whether the compiler rejects the function for a mistake that this module already reports.
pub(crate) fn compiler_refuses(task: &Task) -> bool {
    let refused = |ty: &Type| is_inferred(ty.to_token_stream()) || is_unsized(ty);
    is_inferred(task.output())
        || task.parameters.iter().any(|parameter| refused(parameter.ty()))
        || names_of_fields(task).any(|(_, is_second)| is_second)
}

/// Whether the type of a parameter can be used in generated items, where the function's generics
/// and lifetimes are not in scope.
pub(crate) fn stands_alone(task: &Task, parameter: &Parameter) -> bool {
    let ty = parameter.ty().to_token_stream();
    task.function.sig.generics.params.is_empty()
        && task.owner.as_ref().is_none_or(|owner| !owner.is_refused)
        && !borrows(ty.clone(), false)
        && !has_word(ty.clone(), "impl")
        && !is_inferred(ty)
        && !is_unsized(parameter.ty())
}
