//! Changing a task while tasks of the old version wait: one example for each change.
//!
//! The [table](super::deployment#changing-a-task) in the guide about deployment has all changes at
//! a glance. Each example here runs a task that an older version of the function has deferred.
//!
//! # How a payload is read
//!
//! A payload is stored as plain bytes, without names, beside the schema of the parameters that it
//! was written for. A function whose parameters have the same schema reads the bytes as they are.
//! Any other function of that kind reads them by name, as a JSON document would be read into the
//! same types. serde's own attributes say how: `default`, `alias`, `rename`.
//!
//! Whether a function can read the payloads of another schema is decided once for each schema,
//! before a task is leased. **What it cannot read waits**, uses no attempt, and is reported by
//! [`unroutable`](crate::Client::unroutable) with the difference in words. Only a value that does
//! not fit, such as a number that is too large or a variant that is not known, is found later: the
//! task goes back without an attempt, and the same function tries again after a pause (a minute,
//! then longer, up to an hour). A function with other parameters, defaults, aliases, `ignores` or
//! upgrades can have it at once. `unroutable` counts such tasks too.
//!
//! What serde's attributes say, and the code of a type, is not seen from outside. A fix that
//! changes nothing else, such as `#[serde(default)]` on a field, waits for the end of the pause, or
//! for [`run_now`](crate::Client::run_now):
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let tasks = gae_tasks::Client::open("memory:").await?;
//! let of_kind = gae_tasks::TaskFilter::new().kind(gae_tasks::Kind::new("shop/resize")?);
//! let mut after = None;
//! loop {
//!     let page = tasks.list(of_kind.clone(), after, 100).await?;
//!     for task in page.iter().filter(|task| task.refusals > 0) {
//!         // An error says that it runs or has ended meanwhile.
//!         _ = tasks.run_now(task.spec.id).await;
//!     }
//!     let Some(last) = page.last() else { break };
//!     after = Some(last.spec.id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Reading by name goes both ways: during a deploy, old instances read new payloads by the same
//! rules. They never drop what they do not know.
//!
//! `assert_lock!` of the [test kit](super::testing#what-waits-across-a-deploy) says in a test what
//! a change means, before it is deployed.
//!
//! # A parameter
//!
//! **Add one** with `#[default(..)]`, or as an `Option`, which is `None` where it is absent. What
//! new instances defer waits for new instances.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/charge")]
//! #     pub async fn charge(order: u64) {}
//! # }
//!
//! // Was: async fn charge(order: u64)
//! #[deferred(name = "shop/charge")]
//! async fn charge(order: u64, #[default("EUR")] currency: String, note: Option<String>) {
//!     assert_eq!((order, &*currency, note), (7, "EUR", None)); // a task of the old function
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<charge>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::charge::defer(7).on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! **Remove one** with `ignores`, which says that the function may do without. Without `ignores`
//! the old tasks wait, as a parameter that is not known here may be a new one.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/book")]
//! #     pub async fn book(order: u64, note: String) {}
//! # }
//!
//! // Was: async fn book(order: u64, note: String)
//! #[deferred(name = "shop/book", ignores = ["note"])]
//! async fn book(order: u64) {
//!     assert_eq!(order, 7);
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<book>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::book::defer(7, "note").on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! **Rename one** with `#[alias]`. What new instances defer waits for new instances.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/pay")]
//! #     pub async fn pay(amount: u64) {}
//! # }
//!
//! // Was: async fn pay(amount: u64)
//! #[deferred(name = "shop/pay")]
//! async fn pay(#[alias("amount")] cents: u64) {
//!     assert_eq!(cents, 100);
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<pay>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::pay::defer(100).on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! **Reorder them** as you like: they are found by name, also those of one type.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/transfer")]
//! #     pub async fn transfer(from: u64, to: u64) {}
//! # }
//!
//! // Was: async fn transfer(from: u64, to: u64)
//! #[deferred(name = "shop/transfer")]
//! async fn transfer(to: u64, from: u64) {
//!     assert_eq!((from, to), (1, 2));
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<transfer>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::transfer::defer(1, 2).on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! **Split or merge them** with an upgrade: a function from a struct of the old parameters to the
//! args. It may fail; then the task goes back without an attempt.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! use serde::Deserialize;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/greet")]
//! #     pub async fn greet(name: String) {}
//! # }
//!
//! #[derive(Deserialize)]
//! struct GreetV1 {
//!     name: String,
//! }
//!
//! fn from_v1(old: GreetV1) -> Result<GreetArgs, &'static str> {
//!     let (first, last) = old.name.split_once(' ').ok_or("one word")?;
//!     Ok(GreetArgs { first: first.into(), last: last.into() })
//! }
//!
//! // Was: async fn greet(name: String)
//! #[deferred(name = "shop/greet", upgrade = from_v1)]
//! async fn greet(first: String, last: String) {
//!     assert_eq!((&*first, &*last), ("Ada", "Lovelace"));
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<greet>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::greet::defer("Ada Lovelace").on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # A type
//!
//! **Widen it** without further ado: an integer of more bits, an `i32` or smaller or an `f32` to an
//! `f64`, a `char` to a `String`, anything to an `Option` of it.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/refund")]
//! #     pub async fn refund(cents: u32) {}
//! # }
//!
//! // Was: async fn refund(cents: u32)
//! #[deferred(name = "shop/refund")]
//! async fn refund(cents: u64) {
//!     assert_eq!(cents, 100);
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<refund>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::refund::defer(100).on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! **Narrow it** the same way. A value that does not fit goes back, for an instance that has the
//! wider type: keep one until [`stats_of`](crate::Client::stats_of) counts no such task.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/resize")]
//! #     pub async fn resize(percent: u64) {}
//! # }
//!
//! // Was: async fn resize(percent: u64)
//! #[deferred(name = "shop/resize")]
//! async fn resize(percent: u8) {
//!     assert_eq!(percent, 50);
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<resize>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::resize::defer(300).on(&tasks).await?;
//! # old::resize::defer(50).on(&tasks).await?;
//! # tasks.drain().await.unwrap_err(); // the one that does not fit
//! # assert_eq!(tasks.drain().await?, 1);
//! # let waiting = tasks.list(gae_tasks::TaskFilter::new(), None, 9).await?;
//! # assert_eq!((waiting.len(), waiting[0].attempts, waiting[0].refusals), (1, 0, 1));
//! # Ok(())
//! # }
//! ```
//!
//! **Make it something else** with an upgrade, or with a new parameter beside the old one.
//! Otherwise the old tasks wait, and `unroutable` says why. An integer of 64 bits and an `f64` are
//! such types: digits could be lost.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/rate")]
//! #     pub async fn rate(stars: u64) {}
//! # }
//!
//! // Was: async fn rate(stars: u64)
//! #[deferred(name = "shop/rate")]
//! async fn rate(stars: f64) {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<rate>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::rate::defer(5).on(&tasks).await?;
//! # let new = tasks;
//! let waiting = &new.unroutable().await?[0];
//! assert!(waiting.reason.contains("parameter `stars`: was a u64, is an f64"));
//! # assert_eq!(new.drain().await?, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # A field of a struct
//!
//! **Add one** with `#[serde(default)]`, or as an `Option`. A required field is found missing when
//! the first old task is read; then the others wait too.
//!
//! **Remove one** with `ignores`: the path is made of names of parameters and fields, whatever
//! lists, options and variants are between them.
//!
//! **Rename one** with `#[serde(alias)]`. As serde reads either name, an old instance reads what
//! new ones defer.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! use serde::{Deserialize, Serialize};
//! # mod old {
//! #     use serde::{Deserialize, Serialize};
//! #     #[derive(Serialize, Deserialize)]
//! #     pub struct Item { pub id: u64, pub cents: u32, pub note: String }
//! #     #[gae_tasks::deferred(name = "shop/ship")]
//! #     pub async fn ship(items: Vec<Item>) {}
//! # }
//!
//! // Was: struct Item { id: u64, cents: u32, note: String }
//! #[derive(Serialize, Deserialize)]
//! struct Item {
//!     #[serde(alias = "cents")]
//!     price: u32,
//!     #[serde(default)]
//!     gift: bool,
//!     id: u64,
//! }
//!
//! #[deferred(name = "shop/ship", ignores = ["items.note"])]
//! async fn ship(items: Vec<Item>) {
//!     assert_eq!((items[0].id, items[0].price, items[0].gift), (7, 100, false));
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<ship>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # let items = vec![old::Item { id: 7, cents: 100, note: String::new() }];
//! # old::ship::defer(items).on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # A variant of an enum
//!
//! **Add one** anywhere: variants are found by name. A task with a new variant that meets an old
//! instance goes back and runs on a new one.
//!
//! **Rename one** with `#[serde(alias)]`, and **merge several into one** that has an alias for
//! each.
//!
//! **Remove one** when no task with it waits any more. Until then such a task goes back, and waits
//! for an instance that knows the variant.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! use serde::{Deserialize, Serialize};
//! # mod old {
//! #     use serde::{Deserialize, Serialize};
//! #     #[derive(Serialize, Deserialize)]
//! #     pub enum Action { Suspend, Block, Delete, Warn }
//! #     #[gae_tasks::deferred(name = "shop/act")]
//! #     pub async fn act(action: Action) {}
//! # }
//!
//! // Was: enum Action { Suspend, Block, Delete, Warn }
//! #[derive(Serialize, Deserialize, PartialEq)]
//! enum Action {
//!     Review,
//!     #[serde(alias = "Delete")]
//!     Erase,
//!     #[serde(alias = "Suspend", alias = "Block")]
//!     Restrict,
//!     Warn,
//! }
//!
//! #[deferred(name = "shop/act")]
//! async fn act(action: Action) {
//!     assert!(action != Action::Review);
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<act>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::act::defer(old::Action::Suspend).on(&tasks).await?;
//! # old::act::defer(old::Action::Block).on(&tasks).await?;
//! # old::act::defer(old::Action::Delete).on(&tasks).await?;
//! # old::act::defer(old::Action::Warn).on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 4);
//! # Ok(())
//! # }
//! ```
//!
//! # The function
//!
//! **Rename or move it** with `alias = ["old.path/name"]`, its old kind. The older parameters of
//! the older kind are read too.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop.mail/welcome")]
//! #     pub async fn welcome(user: u64) {}
//! # }
//!
//! // Was: async fn welcome(user: u64), in the module `mail`
//! #[deferred(alias = ["shop.mail/welcome"])]
//! async fn send_welcome(user: u64, #[default] copies: u8) {
//!     assert_eq!((user, copies), (7, 0));
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<send_welcome>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::welcome::defer(7).on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! **Change what it means** with a new function. Whoever reads a parameter called `timeout` cannot
//! see whether the caller meant seconds. Keep the old function until no task of it waits; it may
//! call the new one.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! # mod old {
//! #     #[gae_tasks::deferred(name = "shop/remind")]
//! #     pub async fn remind(timeout: u64) {}
//! # }
//!
//! // As before: seconds.
//! #[deferred(name = "shop/remind")]
//! async fn remind(timeout: u64) {
//!     remind_in_millis(timeout * 1000).await;
//! }
//!
//! #[deferred(name = "shop/remind_in_millis")]
//! async fn remind_in_millis(timeout: u64) {
//!     assert_eq!(timeout, 2000);
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<remind>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::remind::defer(2).on(&tasks).await?;
//! # assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What no schema can see
//!
//! **A change that leaves names and types as they are** is not seen: another unit, another
//! currency, an id of another table, another `#[serde(with = ..)]` that writes the same type. Old
//! payloads are read as they are, with the new meaning. Give the parameter, the field or the
//! function another name, without an alias.
//!
//! ```
//! # use gae_tasks::{Client, Registry};
//! use gae_tasks::deferred;
//! use serde::{Deserialize, Serialize};
//! # mod old {
//! #     use serde::{Deserialize, Serialize};
//! #     pub mod seconds {
//! #         use serde::{Deserialize, Deserializer, Serializer};
//! #         use std::time::Duration;
//! #         pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
//! #             s.serialize_u64(d.as_secs())
//! #         }
//! #         pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
//! #             u64::deserialize(d).map(Duration::from_secs)
//! #         }
//! #     }
//! #     #[derive(Serialize, Deserialize)]
//! #     pub struct Pause {
//! #         #[serde(with = "seconds")]
//! #         pub length: std::time::Duration,
//! #     }
//! #     #[gae_tasks::deferred(name = "shop/pause")]
//! #     pub async fn pause(pause: Pause) {}
//! # }
//!
//! # mod millis {
//! #     use serde::{Deserialize, Deserializer, Serializer};
//! #     use std::time::Duration;
//! #     pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
//! #         s.serialize_u64(d.as_millis() as u64)
//! #     }
//! #     pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
//! #         u64::deserialize(d).map(Duration::from_millis)
//! #     }
//! # }
//! use std::time::Duration;
//!
//! // Was: struct Pause { #[serde(with = "seconds")] length: Duration }
//! #[derive(Serialize, Deserialize)]
//! struct Pause {
//!     // Called `length` still, two seconds would be read as two milliseconds.
//!     #[serde(with = "millis", default = "a_second")]
//!     length_millis: Duration,
//! }
//!
//! fn a_second() -> Duration {
//!     Duration::from_secs(1)
//! }
//!
//! #[deferred(name = "shop/pause")]
//! async fn pause(pause: Pause) {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let registry = Registry::new().with::<pause>();
//! # let tasks = Client::builder().registry(registry).open("memory:").await?;
//! # old::pause::defer(old::Pause { length: Duration::from_secs(2) }).on(&tasks).await?;
//! # let new = tasks;
//! let waiting = &new.unroutable().await?[0];
//! assert!(waiting.reason.contains("field `pause.length` is not known here"));
//! # assert_eq!(new.drain().await?, 0);
//! # Ok(())
//! # }
//! ```
