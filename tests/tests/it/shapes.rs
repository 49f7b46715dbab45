//! Which edits of a task's parameters make another shape of them, and which do not.

use gae_tasks::{Client, Error, Registry, Shape, Task, deferred};
use serde::{Deserialize, Serialize};

fn shape<T: Task>() -> Shape {
    T::registration().shape().expect("a schema")
}

/// Edits by name: a task `task` with its types before and after, and whether its shape stays.
macro_rules! edits {
    ($check:ident: $($name:ident { $($before:tt)* } => { $($after:tt)* })*) => {
        $(
            mod $name {
                #![allow(dead_code, unreachable_pub, unused_variables)]
                #![allow(clippy::box_collection, clippy::boxed_local)]
                pub(super) mod before {
                    #[allow(unused_imports)]
                    use super::super::{Deserialize, Serialize, deferred};
                    $($before)*
                }
                pub(super) mod after {
                    #[allow(unused_imports)]
                    use super::super::{Deserialize, Serialize, deferred};
                    $($after)*
                }
            }
        )*

        #[test]
        fn $check() {
            let edits = [$((
                stringify!($name),
                shape::<$name::before::task>(),
                shape::<$name::after::task>(),
            )),*];
            for (name, before, after) in edits {
                super::$check(name, before, after);
            }
            assert!(edits.len() >= 10);
        }
    };
}

fn differs(name: &str, before: Shape, after: Shape) {
    assert_ne!(before, after, "{name}");
}

fn stays(name: &str, before: Shape, after: Shape) {
    assert_eq!(before, after, "{name}");
}

mod ordinary {
    use super::*;

    edits! { differs:
        swapped_parameters
            { #[deferred] pub fn task(from: u64, to: u64) {} }
            => { #[deferred] pub fn task(to: u64, from: u64) {} }
        renamed_parameter
            { #[deferred] pub fn task(cents: u64) {} } => { #[deferred] pub fn task(euros: u64) {} }
        added_parameter
            { #[deferred] pub fn task(id: u64) {} }
            => { #[deferred] pub fn task(id: u64, note: Option<String>) {} }
        removed_parameter
            { #[deferred] pub fn task(id: u64, note: String) {} }
            => { #[deferred] pub fn task(id: u64) {} }
        swapped_fields {
            #[derive(Serialize, Deserialize)] pub struct Transfer { from: u64, to: u64 }
            #[deferred] pub fn task(transfer: Transfer) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Transfer { to: u64, from: u64 }
            #[deferred] pub fn task(transfer: Transfer) {}
        }
        renamed_field {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(prices: Vec<Price>) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Price { amount: u64 }
            #[deferred] pub fn task(prices: Vec<Price>) {}
        }
        added_field {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(price: Option<Price>) {}
        } => {
            #[derive(Serialize, Deserialize)]
            pub struct Price { cents: u64, #[serde(default)] tax: u8 }
            #[deferred] pub fn task(price: Option<Price>) {}
        }
        removed_field {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64, tax: u8 }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        }
        reordered_fields {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64, currency: String }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Price { currency: String, cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        }
        renamed_by_serde {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)]
            pub struct Price { #[serde(rename = "euros")] cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        }
        added_alias {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)]
            pub struct Price { #[serde(alias = "euros")] cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        }
        added_variant {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend, Delete }
            #[deferred] pub fn task(action: Action) {}
        } => {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend, Delete, Warn }
            #[deferred] pub fn task(action: Action) {}
        }
        inserted_variant {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend, Delete }
            #[deferred] pub fn task(action: Action) {}
        } => {
            #[derive(Serialize, Deserialize)] pub enum Action { Warn, Suspend, Delete }
            #[deferred] pub fn task(action: Action) {}
        }
        removed_variant {
            #[derive(Serialize, Deserialize)] pub enum Action { Warn, Suspend, Delete }
            #[deferred] pub fn task(action: Action) {}
        } => {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend, Delete }
            #[deferred] pub fn task(action: Action) {}
        }
        swapped_variants {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend, Delete }
            #[deferred] pub fn task(action: Action) {}
        } => {
            #[derive(Serialize, Deserialize)] pub enum Action { Delete, Suspend }
            #[deferred] pub fn task(action: Action) {}
        }
        renamed_variant {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend, Delete }
            #[deferred] pub fn task(action: Action) {}
        } => {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend, Erase }
            #[deferred] pub fn task(action: Action) {}
        }
        variant_that_holds_something {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend, Delete }
            #[deferred] pub fn task(action: Action) {}
        } => {
            #[derive(Serialize, Deserialize)] pub enum Action { Suspend(u8), Delete }
            #[deferred] pub fn task(action: Action) {}
        }
        swapped_fields_of_a_variant {
            #[derive(Serialize, Deserialize)] pub enum Action { Move { from: u8, to: u8 } }
            #[deferred] pub fn task(action: Action) {}
        } => {
            #[derive(Serialize, Deserialize)] pub enum Action { Move { to: u8, from: u8 } }
            #[deferred] pub fn task(action: Action) {}
        }
        widened
            { #[deferred] pub fn task(cents: u32) {} }
            => { #[deferred] pub fn task(cents: u64) {} }
        narrowed
            { #[deferred] pub fn task(cents: u64) {} }
            => { #[deferred] pub fn task(cents: u16) {} }
        signed
            { #[deferred] pub fn task(cents: u64) {} }
            => { #[deferred] pub fn task(cents: i64) {} }
        to_a_float
            { #[deferred] pub fn task(cents: u64) {} }
            => { #[deferred] pub fn task(cents: f64) {} }
        halved_float
            { #[deferred] pub fn task(ratio: f64) {} }
            => { #[deferred] pub fn task(ratio: f32) {} }
        to_an_option
            { #[deferred] pub fn task(note: String) {} }
            => { #[deferred] pub fn task(note: Option<String>) {} }
        from_an_option
            { #[deferred] pub fn task(note: Option<String>) {} }
            => { #[deferred] pub fn task(note: String) {} }
        to_a_list
            { #[deferred] pub fn task(id: u64) {} }
            => { #[deferred] pub fn task(id: Vec<u64>) {} }
        tuple_to_struct {
            #[deferred] pub fn task(point: (i32, i32)) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Point { x: i32, y: i32 }
            #[deferred] pub fn task(point: Point) {}
        }
        list_to_array
            { #[deferred] pub fn task(bytes: Vec<u8>) {} }
            => { #[deferred] pub fn task(bytes: [u8; 16]) {} }
        longer_array
            { #[deferred] pub fn task(bytes: [u8; 16]) {} }
            => { #[deferred] pub fn task(bytes: [u8; 17]) {} }
        key_of_a_map {
            #[deferred] pub fn task(by: std::collections::BTreeMap<u64, u8>) {}
        } => {
            #[deferred] pub fn task(by: std::collections::BTreeMap<String, u8>) {}
        }
        text_to_bytes
            { #[deferred] pub fn task(text: String) {} }
            => { #[deferred] pub fn task(text: Vec<u8>) {} }
        flag_to_number
            { #[deferred] pub fn task(flag: bool) {} }
            => { #[deferred] pub fn task(flag: u8) {} }
    }
}

mod harmless {
    use super::*;

    edits! { stays:
        a_box
            { #[deferred] pub fn task(text: String) {} }
            => { #[deferred] pub fn task(text: Box<String>) {} }
        an_alias {
            #[deferred] pub fn task(id: u64) {}
        } => {
            type Id = u64;
            #[deferred] pub fn task(id: Id) {}
        }
        a_path
            { #[deferred] pub fn task(text: String) {} }
            => { #[deferred] pub fn task(text: ::std::string::String) {} }
        a_tidied_import {
            #[deferred] pub fn task(wait: std::time::Duration) {}
        } => {
            use std::time::Duration;
            #[deferred] pub fn task(wait: Duration) {}
        }
        a_trailing_comma
            { #[deferred] pub fn task(pair: (u8, String)) {} }
            => { #[deferred] pub fn task(pair: (u8, String,),) {} }
        a_newtype {
            #[deferred] pub fn task(ids: Vec<u64>) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Id(u64);
            #[deferred] pub fn task(ids: Vec<Id>) {}
        }
        a_renamed_type {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Amount { cents: u64 }
            #[deferred] pub fn task(price: Amount) {}
        }
        a_field_that_keeps_its_name {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)]
            pub struct Price { #[serde(rename = "cents")] amount: u64 }
            #[deferred] pub fn task(price: Price) {}
        }
        another_map {
            #[deferred] pub fn task(by: std::collections::HashMap<String, u8>) {}
        } => {
            #[deferred] pub fn task(by: std::collections::BTreeMap<String, u8>) {}
        }
        a_boxed_field {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64, of: Option<String> }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)]
            pub struct Price { cents: Box<u64>, of: Option<Box<String>> }
            #[deferred] pub fn task(price: Price) {}
        }
        a_generic_type {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Price<T> { cents: T }
            #[deferred] pub fn task(price: Price<u64>) {}
        }
        a_default_of_serde {
            #[derive(Serialize, Deserialize)] pub struct Price { cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        } => {
            #[derive(Serialize, Deserialize)] pub struct Price { #[serde(default)] cents: u64 }
            #[deferred] pub fn task(price: Price) {}
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    #[allow(dead_code)]
    One {
        id: u64,
    },
    Two,
}

#[derive(Serialize, Deserialize)]
struct Outer {
    inner: Vec<Tagged>,
}

#[deferred(queue = "untraced")]
async fn untraced(first: u64, outer: Outer) {
    _ = (first, outer.inner.len());
}

#[deferred(queue = "traced")]
async fn traced(first: u64) {
    _ = first;
}

const REASON: &str =
    "parameter `outer` (`Outer`) cannot be stored: `outer.inner[]` asks the format what comes next";

/// Without an element it reads back as itself: only its schema shows that it cannot be stored.
#[tokio::test]
async fn what_has_no_schema_cannot_be_deferred() {
    let tasks = Client::open("memory:").await.unwrap();
    let error = untraced::defer(1, Outer { inner: Vec::new() }).on(&tasks).await.unwrap_err();
    let Error::Unreadable { kind, source, .. } = &error else { panic!("{error}") };
    assert!(kind.ends_with("untraced"), "{kind}");
    let text = source.to_string();
    assert!(text.starts_with(REASON) && text.contains("`gae_tasks::Json<T>`"), "{text}");
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn a_consumer_of_what_has_no_schema_is_refused_and_others_are_not() {
    let registry = Registry::new().with::<untraced>().with::<traced>();
    let tasks = Client::builder().registry(registry.clone()).open("memory:").await.unwrap();
    let error = tasks.worker().queues(["untraced"]).await.unwrap_err().to_string();
    assert!(error.contains(REASON) && error.contains("untraced` at "), "{error}");
    let ended = std::future::ready(());
    tasks.worker().queues(["traced"]).with_graceful_shutdown(ended).await.unwrap();
    let error = registry.schemas().unwrap_err().to_string();
    assert!(error.contains(REASON), "{error}");
    assert_eq!(Registry::new().with::<traced>().schemas().unwrap().len(), 1);
}
