//! Expands an `impl` block: each of its methods that carries the attribute is a task, whose items
//! stand beside the block.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{GenericParam, Meta, Path};

use crate::args::Attribute;
use crate::block::{Block, Item};
use crate::errors::Errors;
use crate::item::{self, Function};
use crate::model::Task;
use crate::owner::Owner;
use crate::tokens::borrows;
use crate::{check, expand, fallback, names};

/// Expands a block and its tasks, and reports the errors of all of them together.
pub(crate) fn expand(attribute: TokenStream, mut block: Block) -> TokenStream {
    let mut errors = Errors::default();
    let attribute = Attribute::parse(attribute, &mut errors);
    block_rules(&attribute, &block, &mut errors);
    let mut methods = Methods {
        owner: owner_of(&block, &mut errors),
        krate: attribute.krate,
        taken_names: block.items.iter().filter_map(name_of).cloned().collect(),
        within: TokenStream::new(),
        beside: TokenStream::new(),
    };
    for item in std::mem::take(&mut block.items) {
        match item {
            Item::Function(function) if is_marked(&function) => {
                methods.add(*function, &mut errors);
            }
            Item::Function(function) => function.as_written().to_tokens(&mut methods.within),
            item => item.to_tokens(&mut methods.within),
        }
    }
    let (block, beside) = (block.with(&methods.within), methods.beside);
    let errors = errors.finish().err().map(|error| error.to_compile_error());
    quote!(#block #errors #beside)
}

/// The methods of a block that have been expanded.
struct Methods {
    /// The type of the block; `None` if it cannot have tasks at all.
    owner: Option<Owner>,
    /// The path of `gae_tasks`, if the block names it.
    krate: Option<Path>,
    /// The names of all functions in the block.
    taken_names: Vec<Ident>,
    /// What stays in the block.
    within: TokenStream,
    /// What stands beside it.
    beside: TokenStream,
}

impl Methods {
    /// Adds a method. If it breaks a rule, the others of the block are tasks all the same.
    fn add(&mut self, mut function: Function, all: &mut Errors) {
        let mut errors = Errors::default();
        let mut attribute = taken_attribute(&mut function, &mut errors);
        attribute.krate = attribute.krate.or_else(|| self.krate.clone());
        let settings = check::settings(&attribute, &mut errors);
        let Some(owner) = &self.owner else {
            function.to_tokens(&mut self.within);
            return all.extend(errors);
        };
        if owner.is_of_trait {
            // The trait's rules are those of the compiler; calls find what they name.
            function.to_tokens(&mut self.within);
            let mut broken = Errors::default();
            let task = Task::new(&attribute, settings, function, Some(owner), &mut broken);
            fallback::items(&task).to_tokens(&mut self.beside);
            return all.extend(errors);
        }
        let mut task = Task::new(&attribute, settings, function, Some(owner), &mut errors);
        check::function(&task, &mut errors);
        call_is_free(&mut task, &self.taken_names, &mut errors);
        let is_valid = errors.is_empty() && !owner.is_refused;
        all.extend(errors);
        if is_valid {
            expand::function(&task).to_tokens(&mut self.within);
            expand::items(&task).to_tokens(&mut self.beside);
        } else {
            fallback::function(&task).to_tokens(&mut self.within);
            fallback::items(&task).to_tokens(&mut self.beside);
        }
    }
}

fn name_of(item: &Item) -> Option<&Ident> {
    match item {
        Item::Function(function) => Some(&function.sig.ident),
        Item::Other { .. } => None,
    }
}

fn is_marked(function: &Function) -> bool {
    function.attrs.iter().any(item::is_ours)
}

/// Takes the first of this crate's attributes off a method; `check` reports a second one.
fn taken_attribute(function: &mut Function, errors: &mut Errors) -> Attribute {
    let Some(position) = function.attrs.iter().position(item::is_ours) else {
        return Attribute::default();
    };
    let attr = function.attrs.remove(position);
    match &attr.meta {
        Meta::Path(_) => Attribute::default(),
        Meta::List(list) => Attribute::parse(list.tokens.clone(), errors),
        Meta::NameValue(_) => {
            errors.on(
                &attr,
                "the keys of `#[deferred]` stand in parentheses: write `#[deferred(queue = \
                 \"emails\")]`",
            );
            Attribute::default()
        }
    }
}

/// Checks that the block has no function of the name that is generated for the call.
fn call_is_free(task: &mut Task, names: &[Ident], errors: &mut Errors) {
    let Some(call) = &task.call else { return };
    let Some(other) = names.iter().find(|other| names::plain(other) == names::plain(call)) else {
        return;
    };
    let method = names::plain(&task.function.sig.ident);
    errors.on(
        other,
        format!("`{call}` is generated for the task `{method}`: rename this function, or the task"),
    );
    task.call = None;
}

/// Checks the block's own attribute, and that something in the block is marked.
fn block_rules(attribute: &Attribute, block: &Block, errors: &mut Errors) {
    for attr in &block.doubled {
        errors.on(attr, "`#[deferred]` is given twice on this `impl`: keep one");
    }
    for key in attribute.keys().iter().filter(|key| *key != "crate") {
        errors.on(
            key,
            format!("`{key}` belongs to a task: write it into the `#[deferred(..)]` of a method"),
        );
    }
    for mark in block.items.iter().flat_map(Item::conditional_marks) {
        errors.on(
            mark,
            "the mark of a method cannot be conditional: write `#[deferred]`, and put `#[cfg]` on \
             the method",
        );
    }
    for mark in block.items.iter().filter_map(Item::wrong_mark) {
        errors.on(mark, "`#[deferred]` in an `impl` goes on a method or an associated function");
    }
    let is_mark = |attr: &syn::Attribute| item::is_ours(attr) || item::is_conditional(attr);
    if !block.items.iter().any(|item| item.attrs().iter().any(is_mark)) {
        errors.on(
            block.impl_token,
            "no method of this `impl` is a task: put `#[deferred]` on those that are, too",
        );
    }
}

/// Returns the type of the block, if it can have tasks or only its generics stand against it.
fn owner_of(block: &Block, errors: &mut Errors) -> Option<Owner> {
    if let Some(of_trait) = &block.of_trait {
        errors.on(
            of_trait,
            "a method of a trait cannot be a task, because its `impl` cannot have further \
             functions: write a method in an `impl` of the type itself that calls this one",
        );
        let owner = Owner::new(&block.ty, &block.attrs, &block.generics);
        return owner.map(|owner| Owner { is_of_trait: true, ..owner });
    }
    let Some(mut owner) = Owner::new(&block.ty, &block.attrs, &block.generics) else {
        errors.on(
            &block.ty,
            "a task is named after the type of its `impl`, and this type has no name: write a \
             function that is a task",
        );
        return None;
    };
    for parameter in &block.generics.params {
        errors.on(parameter, refusal(parameter));
        owner.is_refused = true;
    }
    if !owner.is_refused && borrows(block.ty.to_token_stream(), false) {
        errors.on(&block.ty, BORROWS);
        owner.is_refused = true;
    }
    Some(owner)
}

const BORROWS: &str = "a method of a type that borrows cannot be a task, because its receiver \
     outlives the caller: give the type owned fields, or write a function that is a task and takes \
     what the method needs";

fn refusal(parameter: &GenericParam) -> &'static str {
    match parameter {
        GenericParam::Lifetime(_) => BORROWS,
        GenericParam::Type(_) | GenericParam::Const(_) => {
            "a method of a generic `impl` cannot be a task, because a stored payload has one type: \
             write an `impl` for each type, or a function for each that is a task and calls the \
             method"
        }
    }
}
