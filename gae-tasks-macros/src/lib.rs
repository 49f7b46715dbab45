//! The attribute macro of `gae-tasks`. Use it through that crate, whose documentation has the whole story.
//!
//! One stage, one file: [`args`] reads the attribute, [`item`] the function below it, [`model`] says what both mean,
//! [`check`] knows the rules, [`expand`] and [`bounds`] write the code, and [`fallback`] what is left where a rule is
//! broken. [`names`] is the spelling of it all.

mod args;
mod bounds;
mod check;
mod expand;
mod fallback;
mod item;
mod model;
mod names;

use proc_macro::TokenStream;
use quote::quote;

use crate::check::Errors;
use crate::item::Function;
use crate::model::Task;

/// Makes a task of a function.
#[proc_macro_attribute]
pub fn deferred(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expansion(attribute.into(), item.into()).into()
}

fn expansion(attribute: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let attribute = args::Attribute::parse(attribute, &mut errors);
    let settings = check::settings(&attribute, &mut errors);
    match syn::parse2::<Function>(item.clone()) {
        Ok(function) => {
            let task = Task::new(&attribute, settings, function);
            check::function(&task, &mut errors);
            match errors.finish() {
                Ok(()) => expand::expand(&task),
                Err(error) => fallback::expand(&task, &error),
            }
        }
        Err(error) => {
            errors.push(error);
            let errors = errors.finish().err().map(|error| error.to_compile_error());
            quote!(#item #errors)
        }
    }
}
