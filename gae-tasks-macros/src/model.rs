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

/// A function under `#[deferred]`.
pub(crate) struct Task {
    pub(crate) function: Function,
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
}

/// One parameter of the function.
pub(crate) struct Parameter {
    pub(crate) original: PatType,
    pub(crate) role: Role,
    pub(crate) marks: Marks,
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
        errors: &mut Errors,
    ) -> Self {
        let ident = &function.sig.ident;
        let typed = function.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(parameter),
            FnArg::Receiver(_) => None,
        });
        Self {
            settings,
            name: attribute.task.clone().unwrap_or_else(|| ident.clone()),
            args: attribute.args.name.clone().unwrap_or_else(|| names::args_of(ident)),
            derives: attribute.args.derives.clone(),
            door: quote!(__door),
            krate: attribute.krate.clone(),
            parameters: parameters(typed, errors),
            function,
        }
    }

    /// Returns the parameters that are sent, each with its field.
    pub(crate) fn payload(&self) -> impl Iterator<Item = (&Ident, &Parameter)> {
        self.parameters.iter().filter_map(|parameter| match &parameter.role {
            Role::Payload(field) => Some((field, parameter)),
            _ => None,
        })
    }

    /// Whether the value of a parameter, or a part of it, is never shown.
    pub(crate) fn is_sensitive(&self, field: &Ident, parameter: &Parameter) -> bool {
        let name = names::plain(field);
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
            ReturnType::Type(_, ty) => ty.to_token_stream(),
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
        self.function.attrs.iter().filter_map(|attr| copy(attr, &wanted)).collect()
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

fn parameters<'a>(typed: impl Iterator<Item = &'a PatType>, errors: &mut Errors) -> Vec<Parameter> {
    let mut sent = 0;
    let mut parameters = Vec::new();
    for original in typed {
        let mut parameter = Parameter {
            original: original.clone(),
            role: Role::Context { borrowed: false },
            marks: Marks::read(&original.attrs, errors),
        };
        parameter.role = match peeled(parameter.ty()) {
            Type::Reference(reference) if parameter.has("state") => {
                Role::State { ty: reference.elem.clone(), borrowed: true }
            }
            ty if parameter.has("state") => {
                Role::State { ty: Box::new(ty.clone()), borrowed: false }
            }
            ty if parameter.has("context") => {
                Role::Context { borrowed: matches!(ty, Type::Reference(_)) }
            }
            _ => {
                sent += 1;
                Role::Payload(field_of(&original.pat, sent - 1))
            }
        };
        parameters.push(parameter);
    }
    parameters
}

fn field_of(pat: &Pat, position: usize) -> Ident {
    match pat {
        Pat::Ident(pat) => pat.ident.clone(),
        // The pattern's own span would place the compiler's errors about the field at a token that
        // is not a name.
        _ => Ident::new(&names::ignored_field(position), Span::call_site().located_at(pat.span())),
    }
}

/// Returns a type without parentheses and without the invisible groups that macros put around their
/// fragments.
pub(crate) fn peeled(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peeled(&group.elem),
        Type::Paren(paren) => peeled(&paren.elem),
        ty => ty,
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
