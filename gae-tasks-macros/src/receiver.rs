//! Reads and checks the receiver of a method, which is sent like a parameter, under the name
//! `self`.

use quote::ToTokens;
use syn::{Pat, PatType, ReceiverKind, Token, Type};

use crate::errors::Errors;
use crate::names;
use crate::owner::Owner;
use crate::tokens::peeled;

/// The name under which a receiver is sent.
pub(crate) const NAME: &str = "self";

/// The field of the args that holds a receiver: a field cannot be named `self`.
pub(crate) const FIELD: &str = "receiver";

/// How a method takes its receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    ByValue,
    ByReference,
}

/// Returns the receiver as a parameter of the type of the `impl`.
pub(crate) fn parameter(receiver: &syn::Receiver, owner: &Owner) -> (PatType, Taken) {
    let span = receiver.self_token.span;
    let parameter = PatType {
        attrs: receiver.attrs.clone(),
        pat: Box::new(Pat::Verbatim(receiver.self_token.to_token_stream())),
        colon_token: Token![:](span),
        ty: Box::new(owner.ty_at(span)),
    };
    // A receiver of any other form is refused by `check`.
    (parameter, taken(receiver, owner).unwrap_or(Taken::ByReference))
}

/// Checks that the receiver is one that can be sent.
pub(crate) fn check(receiver: &syn::Receiver, owner: &Owner, errors: &mut Errors) {
    if let Some(attr) = receiver.attrs.iter().find(|attr| attr.path().is_ident("context")) {
        errors.on(
            attr,
            "the receiver is not the context: take the context as a parameter, `#[context] cx: \
             &TaskContext`",
        );
    }
    if taken(receiver, owner).is_none() {
        let written = syn::Receiver { attrs: Vec::new(), ..receiver.clone() };
        errors.on(written, advice(receiver));
    }
}

/// Returns how the receiver is taken; `None` if it is in a form that cannot be sent.
fn taken(receiver: &syn::Receiver, owner: &Owner) -> Option<Taken> {
    let text = |ty: &Type| names::type_text(ty).replace("::<", "<");
    let is_own = |ty: &Type| text(&owner.resolved_type(peeled(ty))) == text(&owner.ty);
    match &receiver.kind {
        ReceiverKind::Value => Some(Taken::ByValue),
        ReceiverKind::Reference(_, None, None) => Some(Taken::ByReference),
        ReceiverKind::Typed(_, ty) => match peeled(ty) {
            Type::Reference(reference) => {
                let is_plain = reference.lifetime.is_none() && reference.mutability.is_none();
                (is_plain && is_own(&reference.elem)).then_some(Taken::ByReference)
            }
            ty => is_own(ty).then_some(Taken::ByValue),
        },
        _ => None,
    }
}

fn advice(receiver: &syn::Receiver) -> &'static str {
    let (mutability, lifetime) = match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, mutability) => {
            (mutability.is_some(), lifetime.is_some())
        }
        ReceiverKind::Typed(_, ty) => match peeled(ty) {
            Type::Reference(reference) => {
                (reference.mutability.is_some(), reference.lifetime.is_some())
            }
            _ => (false, false),
        },
        _ => (false, false),
    };
    if mutability {
        "a task cannot change its receiver, which is a copy that was sent: take `&self`, or take \
         `mut self` and store what has changed"
    } else if lifetime {
        "a task borrows its receiver for one call: take `&self` without a lifetime"
    } else {
        "the receiver of a task is sent like a parameter: take `&self` or `self`"
    }
}
