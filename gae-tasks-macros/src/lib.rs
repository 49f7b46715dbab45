//! The attribute macro of `gae-tasks`. Use it through that crate, which documents it.
//!
//! One stage, one file: `args` parses the attribute, `item` parses the function below it and
//! `marks` the attributes of its parameters, `model` combines them into a task, `check`,
//! `parameters`, `evolution` and `cron` check the rules, `expand`, `calls`, `bounds`,
//! `registration` and `upgrade` generate the code of a valid task, and `fallback` the code of a
//! task with errors. `methods` takes the methods of an `impl` block, which `block` parses, through
//! these stages; `owner` is their type and `receiver` their `self`. `errors` collects the errors,
//! `tokens` inspects types, `names` derives and checks names, `place` looks for a function in its
//! file. `cron_language` is a link to the files by which `gae-tasks` reads schedules.

mod args;
mod block;
mod bounds;
mod calls;
mod check;
mod cron;
#[cfg(feature = "cron")]
#[allow(dead_code, unused_imports, reason = "only `gae-tasks` searches for ticks")]
mod cron_language;
mod errors;
mod evolution;
mod expand;
mod fallback;
mod item;
mod marks;
mod methods;
mod model;
mod names;
mod owner;
mod parameters;
mod place;
mod receiver;
mod registration;
mod tokens;
mod upgrade;

use proc_macro::TokenStream;
use quote::quote;

use crate::block::Block;
use crate::errors::Errors;
use crate::item::{Function, NoFunction};
use crate::model::Task;

// Documented in gae-tasks: examples here would need that crate, and the dependencies of a proc
// macro are built separately from all others.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn deferred(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expansion(attribute.into(), item.into()).into()
}

fn expansion(
    attribute: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    match Block::parse(&item) {
        Some(block) => methods::expand(attribute, block),
        None => function(attribute, item),
    }
}

/// Runs the stages in order and reports the errors of all stages together.
fn function(
    attribute: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let attribute = args::Attribute::parse(attribute, &mut errors);
    let settings = check::settings(&attribute, &mut errors);
    match Function::parse(item.clone()) {
        Ok(function) => {
            let task = Task::new(&attribute, settings, function, None, &mut errors);
            check::function(&task, &mut errors);
            match errors.finish() {
                Ok(()) => expand::expand(&task),
                Err(error) => fallback::expand(&task, &error),
            }
        }
        Err(no_function) => {
            if let NoFunction::Other(error) = no_function {
                errors.push(error);
            }
            let errors = errors.finish().err().map(|error| error.to_compile_error());
            quote!(#item #errors)
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;
    use syn::Item;

    use super::*;

    fn items(attribute: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> Vec<String> {
        let file: syn::File = syn::parse2(expansion(attribute, item)).unwrap();
        let name = |item: &Item| match item {
            Item::Fn(item) => format!("fn {}", item.sig.ident),
            Item::Struct(item) => format!("struct {}", item.ident),
            Item::Enum(item) => format!("enum {}", item.ident),
            Item::Const(item) => format!("const {}", item.ident),
            Item::Impl(item) => format!("impl {}", item.self_ty.to_token_stream()),
            Item::Macro(item) => format!("macro {}", item.mac.path.segments.last().unwrap().ident),
            item => item.to_token_stream().to_string(),
        };
        file.items.iter().map(name).collect()
    }

    #[test]
    fn a_task_is_four_items_and_the_function_is_the_first() {
        let items = items(
            quote!(queue = "a"),
            quote!(
                async fn send(id: u64, #[state] db: &Db) {}
            ),
        );
        assert_eq!(items, ["fn send", "struct SendArgs", "enum send", "const _"]);
    }

    #[test]
    fn a_mistake_leaves_the_names_that_callers_use() {
        let items = items(
            quote!(queue = "a_b"),
            quote!(
                async fn send(name: &str) {}
            ),
        );
        assert_eq!(
            items,
            [
                "fn send",
                "macro compile_error",
                "macro compile_error",
                "struct SendArgs",
                "enum send",
                "const _"
            ]
        );
    }

    #[test]
    fn the_items_of_methods_stand_beside_their_block() {
        let items = items(
            quote!(),
            quote!(
                impl Invoice {
                    #[deferred(queue = "mail", task = Sent)]
                    async fn send(&self, to: String) {}
                    fn unmarked(&self) {}
                    #[deferred]
                    fn create(id: u64) -> Result<Self, Error> {}
                }
            ),
        );
        let expected = [
            "impl Invoice",
            "struct InvoiceSendArgs",
            "enum Sent",
            "const _",
            "struct InvoiceCreateArgs",
            "enum InvoiceCreate",
            "const _",
        ];
        assert_eq!(items, expected);
    }

    #[test]
    fn a_mistake_in_one_method_is_none_of_the_others() {
        let expanded = expansion(
            quote!(),
            quote!(
                impl Invoice {
                    #[deferred]
                    fn send(&mut self) {}
                    #[deferred]
                    fn archive(self) {}
                }
            ),
        );
        let expanded = expanded.to_string();
        assert_eq!(expanded.matches("compile_error").count(), 1, "{expanded}");
        assert!(expanded.contains("fn defer_send (& self ,) -> __door :: Defer { loop { } }"));
        assert!(expanded.contains("\"Invoice.archive\""));
        assert_eq!(expanded.matches("register !").count(), 1, "{expanded}");
    }

    #[test]
    fn a_body_that_is_half_typed_still_expands() {
        let half = quote!(async fn send() { let x = foo. });
        for item in [half.clone(), quote!(impl A { #[deferred] #half })] {
            let expanded = expansion(quote!(), item).to_string();
            assert!(expanded.contains("let x = foo .") && !expanded.contains("compile_error"));
        }
    }

    #[test]
    fn the_docs_of_the_task_type_say_what_the_attribute_does() {
        let docs = |attribute| {
            let item = quote!(
                fn send() {}
            );
            let file: syn::File = syn::parse2(expansion(attribute, item)).unwrap();
            let task_type = file.items.iter().find_map(|item| match item {
                Item::Enum(item) => {
                    Some(item.attrs.iter().map(|attr| attr.to_token_stream().to_string()))
                }
                _ => None,
            });
            task_type.unwrap().collect::<String>()
        };
        let all = docs(quote!(
            queues = ["a", "b"],
            name = "shop/send",
            deadline = "90s",
            max_attempts = 5,
            min_backoff = "5s"
        ));
        for fact in [
            "\"shop/send\" , \"`\"",
            "- Queue: `a`, `b`",
            "- Deadline: 1m 30s",
            "- Attempts: at most 5",
            "- Backoff: from 5s to the queue's maximum",
        ] {
            assert!(all.contains(fact), "{fact}: {all}");
        }
        let none = docs(quote!());
        for fact in [
            "module_path ! () , \"/\" , \"send\"",
            "- Queue: `default`",
            "10 minutes",
            "the queue allows",
            "- Backoff: the queue's\"",
        ] {
            assert!(none.contains(fact), "{fact}: {none}");
        }
        let [longest, both] = [
            docs(quote!(max_backoff = "1h")),
            docs(quote!(min_backoff = "5s", max_backoff = "90s")),
        ];
        assert!(longest.contains("- Backoff: the queue's, at most 1h"), "{longest}");
        assert!(both.contains("- Backoff: from 5s to 1m 30s"), "{both}");
    }

    #[cfg(feature = "cron")]
    #[test]
    fn a_schedule_is_in_the_docs_and_in_the_registration() {
        let expanded = expansion(
            quote!(cron = "@daily", timezone = "Europe/Paris", cron_args(to = "you")),
            quote!(
                fn send(to: String, note: Option<u8>) {}
            ),
        )
        .to_string();
        assert!(expanded.contains("- Schedule: `@daily`, in the time zone `Europe/Paris`"));
        assert!(expanded.contains("expression : \"@daily\" , timezone : \"Europe/Paris\""));
        assert!(expanded.contains("note : __door :: Option :: None"), "{expanded}");
    }

    #[test]
    fn the_crate_is_looked_for_once_and_its_key_is_named() {
        for queue in ["emails", "broken_"] {
            let expanded = expansion(
                quote!(queue = #queue),
                quote!(
                    async fn send(id: u64, #[state] db: &Db) -> Result<(), Error> {}
                ),
            );
            let expanded = expanded.to_string();
            assert_eq!(expanded.matches(":: gae_tasks").count(), 1, "{expanded}");
            assert!(
                expanded.contains("add_crate_eq_path_if_gae_tasks_is_renamed ! { }"),
                "{expanded}"
            );
        }
    }

    #[test]
    fn only_the_door_and_absolute_paths_are_named() {
        let expanded = expansion(
            quote!(crate = ::door),
            quote!(
                fn send(id: u64) {}
            ),
        )
        .to_string();
        assert!(!expanded.contains("gae_tasks"));
        assert!(!expanded.contains(" std ::") && !expanded.contains("serde"));
    }
}
