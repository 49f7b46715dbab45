//! Finds in the source file whether a function stands in an `impl`, where its own tokens do not
//! show that.
//!
//! The compiler does not tell a macro what is around its input. It would report seven errors for
//! such a function, none of which names the mistake: of the struct and the enum that cannot stand
//! there, and of everything that names them.

use std::cell::RefCell;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::Ident;

thread_local! {
    /// The file that was read last: its text, and its tasks.
    static LAST: RefCell<(String, Tasks)> = RefCell::default();
}

/// The names of functions that carry the attribute, each with whether it stands in an `impl`.
/// Methods of an `impl` that carries the attribute itself are left out: it is expanded with them.
type Tasks = Vec<(String, bool)>;

/// Whether `function` stands in an `impl` or a `trait`, as far as its source file can be read.
pub(crate) fn is_in_impl(function: &Ident) -> bool {
    // Only within the compiler, and not for a function that is not indented.
    if !proc_macro::is_available() || proc_macro::Span::call_site().column() == 1 {
        return false;
    }
    let file = proc_macro::Span::call_site().local_file();
    let Some(text) = file.and_then(|file| std::fs::read_to_string(file).ok()) else { return false };
    LAST.with_borrow_mut(|(last, tasks)| {
        if *last != text {
            *tasks = text.parse().map(tasks_of).unwrap_or_default();
            *last = text;
        }
        stands_in_impls_only(&function.to_string(), tasks)
    })
}

/// Whether all tasks of this name stand in an `impl`: of two of one name, it is unknown which one
/// is meant.
fn stands_in_impls_only(name: &str, tasks: &Tasks) -> bool {
    let mut places = tasks.iter().filter(|(other, _)| other == name).map(|(_, place)| *place);
    places.next().is_some_and(|first| first && places.all(|place| place))
}

fn tasks_of(file: TokenStream) -> Tasks {
    let mut tasks = Tasks::new();
    find(file, Place::Elsewhere, &mut tasks);
    tasks
}

/// What tokens are the content of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// An `impl` or a `trait` without the attribute.
    Impl,
    /// An `impl` with it.
    ImplOfTasks,
    Elsewhere,
}

/// Finds the tasks among `tokens`.
fn find(tokens: TokenStream, place: Place, tasks: &mut Tasks) {
    let (mut opens_impl, mut is_task) = (None, false);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) => {
                if word == "fn"
                    && std::mem::take(&mut is_task)
                    && place != Place::ImplOfTasks
                    && let Some(TokenTree::Ident(name)) = tokens.peek()
                {
                    tasks.push((name.to_string(), place == Place::Impl));
                }
                if !["pub", "unsafe", "default", "auto"].iter().any(|before| word == before) {
                    opens_impl.get_or_insert(word == "impl" || word == "trait");
                }
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                is_task |= opens_impl.is_none() && is_deferred(group.stream());
            }
            TokenTree::Group(group) => {
                let is_brace = group.delimiter() == Delimiter::Brace;
                let place = match (is_brace && opens_impl == Some(true), is_task) {
                    (true, true) => Place::ImplOfTasks,
                    (true, false) => Place::Impl,
                    (false, _) => Place::Elsewhere,
                };
                find(group.stream(), place, tasks);
                if is_brace {
                    (opens_impl, is_task) = (None, false);
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                (opens_impl, is_task) = (None, false);
            }
            _ => {}
        }
    }
}

/// Whether an attribute's path ends with the attribute's name.
fn is_deferred(attribute: TokenStream) -> bool {
    let path = attribute.into_iter().take_while(|token| !matches!(token, TokenTree::Group(_)));
    path.last().is_some_and(|last| last.to_string() == "deferred")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_impl(file: &str) -> bool {
        stands_in_impls_only("send", &tasks_of(file.parse().unwrap()))
    }

    #[test]
    fn a_function_in_an_impl_is_found() {
        for file in [
            "struct A; impl A { #[deferred] async fn send(id: u64) {} }",
            "pub unsafe impl<T: Fn()> A<T> where T: B { /* } */ \
             #[gae_tasks::deferred(queue = \"{\")] pub fn send() {} }",
            "mod a { use b; trait A { const C: u8 = { 1 }; #[doc = \"\"] #[deferred] #[b] \
             fn send() {} } }",
            "macro_rules! a { () => { impl A { #[deferred] fn send() {} } } }",
            "#[deferred] impl A { #[deferred] fn send() {} } impl A { #[deferred] fn send() {} }",
        ] {
            assert!(in_impl(file), "{file}");
        }
    }

    #[test]
    fn any_other_function_is_not() {
        for file in [
            "#[deferred] fn send() {}",
            "mod a { #[deferred] fn send() {} }",
            "fn a() -> impl B { #[deferred] fn send() {} }",
            "impl A { fn a() { #[deferred] fn send() {} } }",
            "impl A { const B: () = { #[deferred] fn send() {} }; }",
            "impl A { } mod b { #[deferred] fn send() {} }",
            "impl A { fn send() {} #[deferred] fn other() {} }",
            "impl A { #[deferred] fn send() {} } #[deferred] fn send() {}",
            "impl A { b! { #[deferred] fn send() {} } }",
            "#[deferred] impl A { #[deferred] fn send() {} }",
            "#[deferred] impl A { fn a() { #[deferred] fn send() {} } }",
            "",
        ] {
            assert!(!in_impl(file), "{file}");
        }
    }
}
