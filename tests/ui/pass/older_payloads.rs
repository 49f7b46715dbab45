#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub, unused, warnings)]
#![deny(future_incompatible, nonstandard_style, rust_2018_idioms, private_interfaces, unused_qualifications)]
//! Everything that the attribute says about older payloads.

use gae_tasks::{Task, deferred};
use serde::{Deserialize, Serialize};

/// A limit.
const LIMIT: u8 = 3;

/// A card.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Card {
    number: String,
}

/// What the task took first.
#[derive(Debug, Deserialize)]
struct ChargeV1 {
    euros: u64,
}

fn from_v1(old: ChargeV1) -> Result<ChargeArgs, Box<dyn std::error::Error + Send + Sync>> {
    let cents = old.euros.checked_mul(100).ok_or("too much")?;
    Ok(ChargeArgs { cents, card: Card::default(), retries: 0, note: None, currency: "EUR".into(), arg5: 0 })
}

mod older {
    /// What the task took then: nothing.
    #[derive(Debug, serde::Deserialize)]
    pub(super) struct ChargeV2 {}

    pub(super) fn from_v2(_: ChargeV2) -> super::ChargeArgs {
        super::from_v1(super::ChargeV1 { euros: 1 }).unwrap()
    }
}

/// Charges a card.
#[deferred(
    upgrade = [older::from_v2, from_v1],
    ignores = ["memo", "card.issuer", "card.0.card-number"],
    sensitive = ["card.number"]
)]
pub async fn charge(
    #[alias("amount")] cents: u64,
    /// The card.
    #[default]
    card: Card,
    #[default(LIMIT + { let more = 1; more })]
    #[allow(unused_mut)]
    mut retries: u8,
    #[default(Some(String::new()))] note: Option<String>,
    #[default("EUR")]
    #[sensitive]
    currency: String,
    #[alias("r", "type")]
    #[default(u16::MAX)]
    _: u16,
) {
    println!("{cents} {card:?} {retries} {note:?} {currency}");
}

macro_rules! made {
    ($name:ident, $alias:literal, $default:expr, $text:literal, $upgrade:path) => {
        #[gae_tasks::deferred(ignores = $alias, upgrade = $upgrade, args = MadeArgs)]
        fn $name(#[alias("old")] #[default($default)] id: u64, #[default($text)] text: String) {
            println!("{id} {text}");
        }
    };
}

#[derive(Deserialize)]
struct MadeV1 {
    id: u64,
}

fn made_from_v1(old: MadeV1) -> MadeArgs {
    MadeArgs { id: old.id, text: String::new() }
}

made!(made, "gone", 1 + 1, "text", made_from_v1);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    #[derive(Deserialize)]
    struct Local {
        id: u64,
    }

    fn from_local(old: Local) -> LocalArgs {
        LocalArgs { r#type: old.id }
    }

    #[deferred(upgrade = from_local, sensitive = "type", args = LocalArgs)]
    fn local(
        #[alias("match")]
        #[default(7)]
        r#type: u64,
    ) {
        assert_eq!(r#type, 8);
    }

    let tasks = gae_tasks::Client::open("memory:").await.unwrap();
    let card = Card { number: "4111".into() };
    tasks.run(charge::defer(100, card, 0, None, "CHF", 0)).await.unwrap();
    tasks.run(made::defer(1, "text")).await.unwrap();
    tasks.run(local::defer(8)).await.unwrap();
    let parameters = charge::registration().parameters;
    assert_eq!(parameters.last().unwrap().aliases, ["r", "type"]);
    assert_eq!(local::registration().upgrades.len(), 1);
}
