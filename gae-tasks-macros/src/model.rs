//! A task as read from the attribute and the function: its names, its parameters and their roles.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, FnArg, Lit, LitStr, Meta, Pat, PatType, Path, ReturnType, Token, Type,
    parse_quote,
};

use crate::args;
use crate::errors::Errors;
use crate::item::Function;
use crate::marks::Marks;
use crate::names;
use crate::owner::Owner;
use crate::receiver::{self, Taken};
use crate::tokens::peeled;

/// A function under `#[deferred]`.
pub(crate) struct Task {
    pub(crate) function: Function,
    /// The type that a method belongs to; `None` for a free function.
    pub(crate) owner: Option<Owner>,
    /// The name of the function that defers a method, if it is free.
    pub(crate) call: Option<Ident>,
    pub(crate) settings: Settings,
    /// The name of the task type.
    pub(crate) name: Ident,
    /// The name of the args struct.
    pub(crate) args: Ident,
    pub(crate) derives: Vec<Path>,
    /// The name, within the `const` block, of `gae_tasks::__private`, the only module that
    /// generated code names.
    pub(crate) door: TokenStream,
    /// The path of `gae_tasks`, if the user gives one.
    krate: Option<Path>,
    pub(crate) parameters: Vec<Parameter>,
}

/// The values of the attribute that end up in the registration.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) queues: Vec<String>,
    /// The given kind; `None` for the module path and the function's name.
    pub(crate) kind: Option<String>,
    pub(crate) aliases: Vec<String>,
    /// What older payloads hold and the function does without.
    pub(crate) ignores: Vec<LitStr>,
    /// Whose values are never shown, beside the parameters that are marked.
    pub(crate) sensitive: Vec<LitStr>,
    pub(crate) upgrades: Vec<Path>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) min_backoff: Option<Duration>,
    pub(crate) max_backoff: Option<Duration>,
    pub(crate) priority: Option<i8>,
    /// The parameters that the task is unique by; `None` if the key is not given.
    pub(crate) unique_by: Option<Vec<LitStr>>,
    pub(crate) cron: Option<Schedule>,
}

/// When a task is deferred by itself, and with which arguments.
pub(crate) struct Schedule {
    pub(crate) expression: Expr,
    pub(crate) timezone: Option<Expr>,
    pub(crate) args: Vec<args::CronArg>,
}

/// One parameter of the function.
pub(crate) struct Parameter {
    /// The parameter as written, with the type of the `impl` in place of `Self`.
    pub(crate) original: PatType,
    pub(crate) role: Role,
    pub(crate) marks: Marks,
    /// How the method takes this parameter, if it is the receiver.
    pub(crate) receiver: Option<Taken>,
}

/// Where a parameter's value comes from.
pub(crate) enum Role {
    /// The value is sent, in this field of the args.
    Payload(Ident),
    /// The value is the client's state of this type.
    State { ty: Box<Type>, borrowed: bool },
    /// The value is the context of the attempt.
    Context { borrowed: bool },
}

impl Task {
    /// Builds the task, even if it breaks rules: [`crate::check`] reports them, and the fallback
    /// needs the task.
    pub(crate) fn new(
        attribute: &args::Attribute,
        settings: Settings,
        function: Function,
        owner: Option<&Owner>,
        errors: &mut Errors,
    ) -> Self {
        let ident = &function.sig.ident;
        let (name, args) = match owner {
            None => (ident.clone(), names::args_of(ident)),
            Some(owner) => names::of_method(&owner.name, ident),
        };
        Self {
            settings,
            name: attribute.task.clone().unwrap_or(name),
            args: attribute.args.name.clone().unwrap_or(args),
            derives: attribute.args.derives.clone(),
            door: quote!(__door),
            krate: attribute.krate.clone(),
            parameters: parameters(&function, owner, errors),
            owner: owner.cloned(),
            call: owner.map(|_| names::call_of(ident)),
            function,
        }
    }

    /// Returns the function as people write it: `send`, `Invoice::send`.
    pub(crate) fn title(&self) -> String {
        self.joined("::")
    }

    /// Returns the last segment of a kind that is not given: `send`, `Invoice.send`.
    pub(crate) fn name_in_kind(&self) -> String {
        self.joined(".")
    }

    fn joined(&self, separator: &str) -> String {
        let function = names::plain(&self.function.sig.ident);
        match &self.owner {
            None => function,
            Some(owner) => format!("{}{separator}{function}", names::plain(&owner.name)),
        }
    }

    /// Returns `tokens` with the type of the `impl` in place of `Self`, for use outside of it.
    pub(crate) fn resolved(&self, tokens: TokenStream) -> TokenStream {
        match &self.owner {
            None => tokens,
            Some(owner) => owner.resolved(tokens),
        }
    }

    /// Returns the parameters that are sent, each with its field.
    pub(crate) fn payload(&self) -> impl Iterator<Item = (&Ident, &Parameter)> {
        self.parameters.iter().filter_map(|parameter| match &parameter.role {
            Role::Payload(field) => Some((field, parameter)),
            _ => None,
        })
    }

    /// Returns the names of the parameters that are sent.
    pub(crate) fn sent_names(&self) -> impl Iterator<Item = String> {
        self.payload().map(|(field, parameter)| parameter.sent_as(field))
    }

    /// Returns the parameter that `name` probably misspells.
    pub(crate) fn nearest(&self, name: &str) -> Option<String> {
        let known: Vec<_> = self.sent_names().collect();
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        names::nearest(name, &known).map(str::to_owned)
    }

    /// Whether the receiver of a method is sent.
    pub(crate) fn sends_receiver(&self) -> bool {
        self.payload().any(|(_, parameter)| parameter.receiver.is_some())
    }

    /// Whether the value of a parameter, or a part of it, is never shown.
    pub(crate) fn is_sensitive(&self, field: &Ident, parameter: &Parameter) -> bool {
        let name = parameter.sent_as(field);
        let is_of_it = |path: &LitStr| path.value().split('.').next() == Some(&name);
        parameter.marks.is_sensitive || self.settings.sensitive.iter().any(is_of_it)
    }

    /// Returns the types of the injected states.
    pub(crate) fn states(&self) -> impl Iterator<Item = &Type> {
        self.parameters.iter().filter_map(|parameter| match &parameter.role {
            Role::State { ty, .. } => Some(&**ty),
            _ => None,
        })
    }

    /// Generates the import of the door. No other generated code contains its path, so a wrong path
    /// is one error.
    pub(crate) fn import(&self) -> TokenStream {
        let door = &self.door;
        if let Some(krate) = &self.krate {
            // Spanned on the user's path, so that the compiler reports a wrong path there.
            let here = krate.segments.last().map_or_else(Span::call_site, Spanned::span);
            return quote_spanned!(here=> use #krate::__private as __door;);
        }
        // The macro cannot choose the text of the compiler's error, but the text contains the name
        // of the inner macro.
        quote! {
            macro_rules! add_crate_eq_path_if_gae_tasks_is_renamed {
                () => { use ::gae_tasks::__private as #door; };
            }
            add_crate_eq_path_if_gae_tasks_is_renamed! {}
        }
    }

    /// Returns the function's return type.
    pub(crate) fn output(&self) -> TokenStream {
        match &self.function.sig.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, ty) => self.resolved(ty.to_token_stream()),
        }
    }

    /// Returns the function's `#[cfg]` attributes, which every generated item shares.
    pub(crate) fn cfgs(&self) -> Vec<Attribute> {
        self.copied(|meta| meta.path().is_ident("cfg"))
    }

    /// Returns the attributes that the generated public items share with the function: `#[cfg]`,
    /// `#[deprecated]`, and `#[doc(hidden)]` and the like, but not the text of its docs.
    pub(crate) fn shared(&self) -> Vec<Attribute> {
        self.copied(|meta| match meta {
            Meta::List(list) if list.path.is_ident("doc") => true,
            meta => meta.path().is_ident("cfg") || meta.path().is_ident("deprecated"),
        })
    }

    fn copied(&self, wanted: impl Fn(&Meta) -> bool) -> Vec<Attribute> {
        let of_the_block = self.owner.iter().flat_map(|owner| &owner.attrs);
        let attrs = of_the_block.chain(&self.function.attrs);
        attrs.filter_map(|attr| copy(attr, &wanted)).collect()
    }

    /// Returns the first paragraph of the function's docs. The rest is not copied, or examples
    /// would be tested twice.
    pub(crate) fn summary(&self) -> Vec<&Attribute> {
        let docs = self.function.attrs.iter().filter(|attr| doc_text(attr).is_some());
        docs.take_while(|attr| doc_text(attr).is_some_and(|text| !text.trim().is_empty())).collect()
    }
}

impl Parameter {
    /// Returns the type as written.
    pub(crate) fn ty(&self) -> &Type {
        &self.original.ty
    }

    /// Returns the name under which the parameter is sent; `field` is its field of the args.
    pub(crate) fn sent_as(&self, field: &Ident) -> String {
        match self.receiver {
            None => names::plain(field),
            Some(_) => receiver::NAME.to_owned(),
        }
    }

    /// Returns the docs that the user wrote on the parameter.
    pub(crate) fn docs(&self) -> impl Iterator<Item = &Attribute> {
        self.original.attrs.iter().filter(|attr| attr.path().is_ident("doc"))
    }

    /// Whether the parameter has the attribute `word`.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.original.attrs.iter().any(|attr| attr.path().is_ident(word))
    }

    /// Whether the type is written as the standard library's `String`, so that `defer` takes
    /// `impl Into<String>`.
    pub(crate) fn is_string(&self) -> bool {
        matches!(
            names::type_text(self.ty()).as_str(),
            "String" | "std::string::String" | "::std::string::String"
        )
    }
}

fn parameters(function: &Function, owner: Option<&Owner>, errors: &mut Errors) -> Vec<Parameter> {
    let mut sent = 0;
    let mut parameters = Vec::new();
    for input in &function.sig.inputs {
        let Some((original, receiver)) = original(input, owner) else { continue };
        let mut parameter = Parameter {
            marks: Marks::read(&original.attrs, errors),
            original,
            role: Role::Context { borrowed: false },
            receiver,
        };
        parameter.role = role(&parameter, sent);
        sent += usize::from(matches!(parameter.role, Role::Payload(_)));
        parameters.push(parameter);
    }
    parameters
}

/// Returns a parameter, and how it is taken if it is the receiver. Without an `impl` there is none.
fn original(input: &FnArg, owner: Option<&Owner>) -> Option<(PatType, Option<Taken>)> {
    match (input, owner) {
        (FnArg::Typed(typed), None) => Some((typed.clone(), None)),
        (FnArg::Typed(typed), Some(owner)) => {
            let ty = Box::new(owner.resolved_type(&typed.ty));
            Some((PatType { ty, ..typed.clone() }, None))
        }
        (FnArg::Receiver(receiver), Some(owner)) => {
            let (original, taken) = receiver::parameter(receiver, owner);
            Some((original, Some(taken)))
        }
        (FnArg::Receiver(_), None) => None,
    }
}

/// Returns the role of a parameter before which `sent` others are sent.
fn role(parameter: &Parameter, sent: usize) -> Role {
    match peeled(parameter.ty()) {
        Type::Reference(reference) if parameter.has("state") => {
            Role::State { ty: reference.elem.clone(), borrowed: true }
        }
        ty if parameter.has("state") => Role::State {
            ty: Box::new(ty.clone()),
            borrowed: parameter.receiver == Some(Taken::ByReference),
        },
        ty if parameter.has("context") => {
            Role::Context { borrowed: matches!(ty, Type::Reference(_)) }
        }
        _ => Role::Payload(field_of(parameter, sent)),
    }
}

fn field_of(parameter: &Parameter, position: usize) -> Ident {
    let pat = &parameter.original.pat;
    // The span of a pattern would place the compiler's errors about the field at a token that is
    // not a name.
    let here = || Span::call_site().located_at(pat.span());
    match &**pat {
        _ if parameter.receiver.is_some() => Ident::new(receiver::FIELD, here()),
        Pat::Ident(pat) => pat.ident.clone(),
        _ => Ident::new(&names::ignored_field(position), here()),
    }
}

/// Returns `attr` if it is wanted; from a `cfg_attr`, only the wanted attributes.
fn copy(attr: &Attribute, wanted: &impl Fn(&Meta) -> bool) -> Option<Attribute> {
    let Meta::List(list) = &attr.meta else { return wanted(&attr.meta).then(|| attr.clone()) };
    if !list.path.is_ident("cfg_attr") {
        return wanted(&attr.meta).then(|| attr.clone());
    }
    let metas = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
    let mut metas = metas.into_iter();
    let condition = metas.next()?;
    let metas: Vec<_> = metas.filter(wanted).collect();
    (!metas.is_empty()).then(|| parse_quote!(#[cfg_attr(#condition, #(#metas),*)]))
}

fn doc_text(attr: &Attribute) -> Option<String> {
    match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}
