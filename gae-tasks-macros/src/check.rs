//! The rules: what a task may be, every broken one recorded at the user's token with the fix in the text.

use std::collections::HashSet;
use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{FnArg, GenericParam, LitInt, LitStr, Pat, Safety, Signature, Type};

use crate::args::Attribute;
use crate::item;
use crate::model::{Parameter, Role, Settings, Task, peeled};
use crate::names;

/// The mistakes found so far, so that the user sees all of them at once.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Records an error at `span`.
    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Records an error at all of `tokens`.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Records an error.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            None => self.0 = Some(error),
            Some(errors) => errors.combine(error),
        }
    }

    /// All that was recorded.
    pub(crate) fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// The values of the attribute, each checked against its syntax.
pub(crate) fn settings(attribute: &Attribute, errors: &mut Errors) -> Settings {
    Settings {
        queues: queues(attribute, errors),
        kind: attribute.name.as_ref().map(|name| kind(name, errors)),
        aliases: aliases(attribute, errors),
        deadline: attribute.deadline.as_ref().and_then(|text| deadline(text, errors)),
        max_attempts: attribute.max_attempts.as_ref().and_then(|number| max_attempts(number, errors)),
    }
}

fn queues(attribute: &Attribute, errors: &mut Errors) -> Vec<String> {
    let Some(queues) = &attribute.queues else { return vec!["default".to_owned()] };
    if queues.is_empty() {
        errors.at(attribute.key("queues"), "`queues` is empty: name at least one queue, or leave the key out");
    }
    for queue in queues.iter().filter(|queue| !names::is_queue(&queue.value())) {
        errors.on(
            queue,
            format!("`{:?}` is not a valid queue name: use 1 to 100 of `A-Z`, `a-z`, `0-9` and `-`", queue.value()),
        );
    }
    unique(queues, errors)
}

fn aliases(attribute: &Attribute, errors: &mut Errors) -> Vec<String> {
    let mut aliases = unique(&attribute.aliases, errors);
    for alias in &attribute.aliases {
        kind(alias, errors);
        if attribute.name.as_ref().is_some_and(|name| name.value() == alias.value()) {
            errors.on(alias, "an alias is a name of before, and this is the name of now: remove it");
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
                "`{value:?}` is not a valid task kind: use segments of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`, none empty or of \
                 dots only, joined by `/`"
            ),
        );
    }
    value
}

fn deadline(text: &LitStr, errors: &mut Errors) -> Option<Duration> {
    match humantime::parse_duration(&text.value()) {
        Ok(deadline) if deadline.is_zero() => {
            errors.on(text, "a deadline of zero leaves no time to run: make it longer")
        }
        Ok(deadline) => return Some(deadline),
        Err(_) => errors.on(
            text,
            format!(
                "`{:?}` is not a valid duration: write a number and its unit, as in `30s`, `5m` or `1h 30m`",
                text.value()
            ),
        ),
    }
    None
}

fn max_attempts(number: &LitInt, errors: &mut Errors) -> Option<u32> {
    match number.base10_parse::<u32>() {
        Ok(0) => errors.on(number, "`max_attempts` counts the first attempt: the least is 1"),
        Ok(attempts) => return Some(attempts),
        Err(_) => errors.on(number, format!("`max_attempts` is a whole number from 1 to {}", u32::MAX)),
    }
    None
}

/// The values of a list, those that stand in it twice recorded.
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

/// The rules of the function.
pub(crate) fn function(task: &Task, errors: &mut Errors) {
    for attr in task.function.attrs.iter().filter(|attr| item::is_ours(attr)) {
        errors.on(attr, "`#[deferred]` is given twice: put all keys into one");
    }
    let sig = &task.function.sig;
    if let Some(token) = of_an_impl(task) {
        return errors.on(
            token,
            "a task is a free function, no method or associated function: move it out of the `impl`, and take what it \
             needs as parameters",
        );
    }
    qualifiers(sig, errors);
    generics(sig, errors);
    output(sig, errors);
    task_names(task, errors);
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

/// The token that shows the function to stand in an `impl`: its `self`, or a `Self`.
fn of_an_impl(task: &Task) -> Option<TokenStream> {
    let sig = &task.function.sig;
    if let Some(FnArg::Receiver(receiver)) = sig.inputs.first() {
        return Some(receiver.to_token_stream());
    }
    let signature = find_word(sig.to_token_stream(), &["Self"]);
    let word = signature.or_else(|| {
        // Items in the body may have a `Self` of their own.
        let body = task.function.body();
        find_word(body.clone(), &["Self"]).filter(|_| find_word(body, &["impl", "trait", "struct", "enum"]).is_none())
    });
    word.map(Ident::into_token_stream)
}

fn doubled(task: &Task, errors: &mut Errors) {
    for (name, is_second) in names_of_parameters(task) {
        if is_second {
            errors.on(name, format!("`{name}` is the name of two parameters: rename one"));
        }
    }
}

/// The names of the parameters, each with whether an earlier one has the same.
fn names_of_parameters(task: &Task) -> impl Iterator<Item = (&Ident, bool)> {
    let mut seen = HashSet::new();
    let idents = task.parameters.iter().filter_map(|parameter| match &*parameter.original.pat {
        Pat::Ident(pat) => Some(&pat.ident),
        _ => None,
    });
    idents.map(move |ident| (ident, !seen.insert(names::plain(ident))))
}

fn qualifiers(sig: &Signature, errors: &mut Errors) {
    if let Some(token) = &sig.constness {
        errors.on(token, "a task cannot be a `const fn`: remove `const`, or call the `const fn` from a task");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        errors.on(
            token,
            "a task cannot be `unsafe`, no worker can uphold its contract: wrap the unsafe call in a safe function",
        );
    }
    if let Some(abi) = &sig.abi {
        errors.on(abi, "a task cannot be `extern`: call the extern function from a task");
    }
    if let Some(variadic) = &sig.variadic {
        errors.on(variadic, "a task cannot be variadic: take a `Vec`");
    }
}

fn generics(sig: &Signature, errors: &mut Errors) {
    for parameter in &sig.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => errors.on(
                &lifetime.lifetime,
                "a task has no lifetime parameters, what it is sent outlives its caller: take owned types",
            ),
            GenericParam::Type(ty) => generic(&ty.ident, errors),
            GenericParam::Const(constant) => generic(&constant.ident, errors),
        }
    }
    if let Some(clause) = &sig.generics.where_clause {
        errors.on(clause, "a task has no `where` clause: it is not generic");
    }
}

fn generic(parameter: &Ident, errors: &mut Errors) {
    let message =
        "a task cannot be generic, a stored payload has one type: write a task for each type, or take an enum";
    errors.on(parameter, message);
}

fn output(sig: &Signature, errors: &mut Errors) {
    let syn::ReturnType::Type(_, ty) = &sig.output else { return };
    if let Some(token) = placeholder(ty.to_token_stream()) {
        errors.on(token, "what a task returns is not inferred: name the type in place of `_`");
    } else if has_word(ty.to_token_stream(), "impl") {
        errors.on(ty, "a task cannot return `impl Trait`: return `()` or `Result<_, E>`");
    } else if borrows(ty.to_token_stream(), true) {
        errors.on(ty, "a task cannot return a borrowed value: return `()` or `Result<_, E>` of owned types");
    }
}

fn task_names(task: &Task, errors: &mut Errors) {
    let name = names::plain(&task.name);
    if names::is_primitive(&name) {
        errors.on(
            &task.name,
            format!(
                "the task type would hide the primitive type `{name}` from this module: rename the function, or give \
                 the type another name with `task = ..`"
            ),
        );
    }
    if task.args == task.name {
        errors.on(
            &task.args,
            format!(
                "the task type and its args are both named `{}`: rename one with `task = ..` or `args = ..`",
                task.args
            ),
        );
    }
    let function = names::plain(&task.function.sig.ident);
    if !function.is_ascii() && task.settings.kind.is_none() {
        errors.on(
            &task.function.sig.ident,
            format!("`{function}` is not ASCII, so no kind can be made of it: add `name = \"..\"`"),
        );
    }
}

fn markers(parameter: &Parameter, errors: &mut Errors) {
    for attr in &parameter.original.attrs {
        let path = attr.path();
        if (path.is_ident("state") || path.is_ident("context")) && attr.meta.require_path_only().is_err() {
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
    let marked = |word: &&str| parameter.original.attrs.iter().filter(|attr| attr.path().is_ident(word)).count();
    match ["state", "context"].iter().map(marked).sum() {
        0 | 1 => {}
        _ => errors
            .on(&parameter.original.pat, "this parameter is marked twice: keep one of `#[state]` and `#[context]`"),
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
        errors.on(ty, "a task cannot take `impl Trait`, a stored payload has one type: name the type");
    } else if is_context(ty) {
        errors.on(ty, "the context is not sent: mark it `#[context]`");
    } else if borrows(ty.to_token_stream(), false) {
        errors.on(ty, format!("a task cannot borrow what it is sent: {}", owned(peeled(ty))));
    }
}

fn is_context(ty: &Type) -> bool {
    names::type_text(ty).rsplit(':').next() == Some("TaskContext")
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

/// Whether a type is `str`, a slice or a trait object by itself.
fn is_unsized(ty: &Type) -> bool {
    match peeled(ty) {
        Type::Slice(_) | Type::TraitObject(_) => true,
        ty => names::type_text(ty) == "str",
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
        errors.on(parameter.ty(), "state is borrowed for one call: take `&T`, without a lifetime, of a type that owns");
    } else if has_word(ty.to_token_stream(), "impl") {
        errors.on(ty, "state is found by its type: name the type in place of `impl Trait`");
    } else if borrowed && matches!(peeled(ty), Type::TraitObject(_) | Type::Slice(_)) || names::type_text(ty) == "str" {
        let text = names::type_text(peeled(ty)).replace('+', " + ");
        errors.on(ty, format!("state is found by its sized type: take `&Arc<{text}>`"));
    }
}

fn context(parameter: &Parameter, errors: &mut Errors) {
    if let Type::Reference(reference) = peeled(parameter.ty()) {
        if let Some(mutability) = &reference.mutability {
            errors.on(mutability, "the context cannot be changed: take `&TaskContext`");
        } else if let Some(lifetime) = &reference.lifetime {
            errors.on(lifetime, "the context is borrowed for one call: take `&TaskContext`, without a lifetime");
        }
    }
}

fn contexts(task: &Task, errors: &mut Errors) {
    let contexts = task.parameters.iter().filter(|parameter| matches!(parameter.role, Role::Context { .. }));
    for second in contexts.skip(1) {
        errors.on(&second.original.pat, "a task has one context: remove this `#[context]` parameter");
    }
}

fn fields(task: &Task, errors: &mut Errors) {
    let ignored = |parameter: &Parameter| !matches!(&*parameter.original.pat, Pat::Ident(_));
    let of_ignored: Vec<_> = task.payload().filter(|(_, p)| ignored(p)).map(|(field, _)| field).collect();
    for (field, parameter) in task.payload() {
        if !ignored(parameter) && of_ignored.iter().any(|other| names::plain(other) == names::plain(field)) {
            let message =
                format!("`{field}` is the field of an unnamed parameter: give that one a name, or this one another");
            errors.at(field.span(), message);
        }
    }
}

fn has_word(tokens: TokenStream, word: &str) -> bool {
    find_word(tokens, &[word]).is_some()
}

/// The first of `words` among the tokens.
fn find_word(tokens: TokenStream, words: &[&str]) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => words.iter().any(|word| ident == word).then_some(ident),
        TokenTree::Group(group) => find_word(group.stream(), words),
        _ => None,
    })
}

/// Whether a type holds a reference or a lifetime; `'static` lifetimes are none, and `static_references` neither are
/// references of that lifetime.
fn borrows(tokens: TokenStream, static_references: bool) -> bool {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let is_static = |at: usize| {
        matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == '\'')
            && matches!(tokens.get(at + 1), Some(TokenTree::Ident(ident)) if ident == "static")
    };
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Punct(punct) if punct.as_char() == '&' => !(static_references && is_static(at + 1)),
        TokenTree::Punct(punct) if punct.as_char() == '\'' => !is_static(at),
        TokenTree::Group(group) => borrows(group.stream(), static_references),
        _ => false,
    })
}

/// Whether the function is a method or an associated function, beside which no items can be put.
pub(crate) fn is_method(task: &Task) -> bool {
    of_an_impl(task).is_some()
}

/// Whether a type holds a `_`, which the compiler would have to infer.
pub(crate) fn is_inferred(ty: TokenStream) -> bool {
    placeholder(ty).is_some()
}

/// The `_` in a type; that of `'_` is none.
fn placeholder(ty: TokenStream) -> Option<Ident> {
    let mut in_lifetime = false;
    ty.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => (ident == "_" && !in_lifetime).then_some(ident),
        TokenTree::Group(group) => placeholder(group.stream()),
        TokenTree::Punct(punct) => {
            in_lifetime = punct.as_char() == '\'';
            None
        }
        TokenTree::Literal(_) => None,
    })
}

/// Whether the compiler refuses the function for a mistake that is reported here already.
pub(crate) fn compiler_refuses(task: &Task) -> bool {
    let refused = |ty: &Type| is_inferred(ty.to_token_stream()) || is_unsized(ty);
    is_inferred(task.output())
        || task.parameters.iter().any(|parameter| refused(parameter.ty()))
        || names_of_parameters(task).any(|(_, is_second)| is_second)
}

/// Whether the type of a parameter can stand in items of its own: outside of the function its generics and lifetimes
/// mean nothing.
pub(crate) fn stands_alone(task: &Task, parameter: &Parameter) -> bool {
    let ty = parameter.ty().to_token_stream();
    task.function.sig.generics.params.is_empty()
        && !borrows(ty.clone(), false)
        && !has_word(ty.clone(), "impl")
        && !is_inferred(ty)
        && !is_unsized(parameter.ty())
}
