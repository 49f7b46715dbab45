//! Generates the registration of a task: what the runtime knows about it.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::model::Task;
use crate::{bounds, cron, upgrade};

/// Generates the task's element of the distributed slice.
pub(crate) fn element(task: &Task) -> TokenStream {
    let (door, settings) = (&task.door, &task.settings);
    let (name, args, aliases) = (&task.name, &task.args, &settings.aliases);
    let states = task.states();
    let parameters = parameters(task);
    let (ignores, sensitive) = (&settings.ignores, &settings.sensitive);
    let upgrades = upgrade::registered(task);
    let [deadline, min_backoff, max_backoff] =
        [settings.deadline, settings.min_backoff, settings.max_backoff]
            .map(|value| duration(task, value));
    let max_attempts = option(task, settings.max_attempts.map(|attempts| quote!(#attempts)));
    let priority = settings.priority.unwrap_or_default();
    let unique_by = settings.unique_by.as_ref().map(|names| quote!(&[#(#names),*]));
    let unique_by = option(task, unique_by);
    let defaults = defaults(task);
    let cron = option(task, cron::declaration(task));
    let here = task.function.sig.ident.span();
    let location = quote_spanned! {here=>
        #door::Location { file: ::core::file!(), line: ::core::line!(), column: ::core::column!() }
    };
    quote! {
        #door::register!(#door::Registration {
            kind: __KIND,
            aliases: &[#(#aliases),*],
            traced: #door::Traced::new(<#args as #door::Args>::trace),
            parameters: &[#(#parameters),*],
            ignores: &[#(#ignores),*],
            sensitive: &[#(#sensitive),*],
            upgrades: #upgrades,
            readings: #door::Readings::new(),
            queues: <#name as #door::Task>::QUEUES,
            deadline: #deadline,
            max_attempts: #max_attempts,
            backoff: #door::TypeBackoff { min: #min_backoff, max: #max_backoff },
            priority: #priority,
            unique_by: #unique_by,
            defaults: &[#(#defaults),*],
            cron: #cron,
            states: &[#(#door::StateType::of::<#states>()),*],
            location: #location,
            module: ::core::module_path!(),
            package: match ::core::option_env!("CARGO_PKG_NAME") {
                #door::Option::Some(__package) => __package,
                #door::Option::None => "",
            },
            is_test: ::core::cfg!(test),
            run: __run,
            trial: #door::trial::<#args>(),
        })
    }
}

/// Generates what the attribute says about each parameter beside its schema.
fn parameters(task: &Task) -> impl Iterator<Item = TokenStream> {
    let door = &task.door;
    task.payload().map(move |(field, parameter)| {
        let (name, aliases) = (parameter.sent_as(field), &parameter.marks.aliases);
        let (has_default, is_sensitive) =
            (parameter.marks.default.is_some(), parameter.marks.is_sensitive);
        quote! {
            #door::Parameter {
                name: #name,
                aliases: &[#(#aliases),*],
                has_default: #has_default,
                is_sensitive: #is_sensitive,
            }
        }
    })
}

/// Generates the defaults of parameters, for a task that is unique by some: a parameter that has
/// its default counts as absent.
fn defaults(task: &Task) -> impl Iterator<Item = TokenStream> {
    let door = &task.door;
    let is_asked = task.settings.unique_by.is_some();
    task.payload().filter(move |_| is_asked).filter_map(move |(field, parameter)| {
        let (name, ty) = (parameter.sent_as(field), parameter.ty());
        let value = bounds::default_value(task, parameter, parameter.marks.default.as_ref()?);
        Some(quote! {
            #door::DefaultOf { name: #name, bytes: || #door::default_bytes::<#ty>(&#value) }
        })
    })
}

fn duration(task: &Task, value: Option<Duration>) -> TokenStream {
    let door = &task.door;
    let duration = value.map(|duration| {
        let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
        quote!(#door::Duration::new(#seconds, #nanos))
    });
    option(task, duration)
}

fn option(task: &Task, value: Option<TokenStream>) -> TokenStream {
    let door = &task.door;
    match value {
        Some(value) => quote!(#door::Option::Some(#value)),
        None => quote!(#door::Option::None),
    }
}
