//! What the attribute says about payloads that older functions stored: defaults, aliases, ignored
//! and sensitive parts, upgrades.

use std::fmt;
use std::num::ParseIntError;

use gae_tasks::__private::{Parameter, decode, encode, upgrade};
use gae_tasks::{Args, Client, Error, Registry, Task, UnreadableError, deferred};
use serde::{Deserialize, Serialize};

const CARD: &str = "none";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Card {
    number: String,
}

#[deferred(
    ignores = ["note", "card.issuer"],
    sensitive = ["card.number"],
    args(derive(Debug, PartialEq))
)]
#[allow(unused_variables)]
fn charge(
    #[alias("amount", "euros")]
    #[alias("r")]
    cents: u64,
    #[default] retries: u8,
    #[default("EUR")] currency: String,
    #[default(Card { number: CARD.to_owned() })] card: Card,
    #[sensitive] pin: Option<u16>,
) {
}

/// As `charge`, without marks.
#[deferred]
#[allow(unused_variables)]
fn plain(cents: u64, retries: u8, currency: String, card: Card, pin: Option<u16>) {}

fn args() -> ChargeArgs {
    let card = Card { number: "4111".to_owned() };
    ChargeArgs { cents: 100, retries: 3, currency: "CHF".to_owned(), card, pin: Some(1234) }
}

#[test]
fn what_the_attribute_says_of_parameters_is_registered() {
    let registration = charge::registration();
    let with_default = |name| Parameter { has_default: true, ..Parameter::new(name) };
    let parameters = [
        Parameter { aliases: &["amount", "euros", "r"], ..Parameter::new("cents") },
        with_default("retries"),
        with_default("currency"),
        with_default("card"),
        Parameter { is_sensitive: true, ..Parameter::new("pin") },
    ];
    assert_eq!(registration.parameters, parameters);
    assert_eq!(registration.ignores, ["note", "card.issuer"]);
    assert_eq!(registration.sensitive, ["card.number"]);
    assert!(registration.upgrades.is_empty());
}

#[test]
fn marks_change_neither_the_bytes_nor_the_schema() {
    assert_eq!(charge::registration().schema(), plain::registration().schema());
    let bytes = encode(&args()).unwrap();
    assert_eq!(decode::<ChargeArgs>(&bytes).unwrap(), args());
    let plain: PlainArgs = decode(&bytes).unwrap();
    assert_eq!((plain.cents, plain.retries, plain.pin), (100, 3, Some(1234)));
}

#[test]
fn near_misses_hide_what_is_sensitive_or_has_a_part_that_is() {
    struct Described(ChargeArgs);
    impl fmt::Debug for Described {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.describe(f)
        }
    }
    let text = format!("{:?}", Described(args()));
    assert_eq!(text, "ChargeArgs { cents: 100, retries: 3, currency: \"CHF\", card: .., pin: .. }");
}

#[derive(Deserialize)]
struct MoveV1 {
    from: String,
    to: String,
}

#[derive(Deserialize)]
struct MoveV2 {
    way: (u32, u32),
}

fn from_v1(old: MoveV1) -> Result<MoveArgs, ParseIntError> {
    Ok(MoveArgs { from: old.from.parse()?, to: old.to.parse()? })
}

mod older {
    pub(super) fn from_v2(old: super::MoveV2) -> super::MoveArgs {
        super::MoveArgs { from: old.way.0, to: old.way.1 }
    }
}

#[deferred(upgrade = [older::from_v2, from_v1], args(MoveArgs, derive(Debug, PartialEq)))]
#[allow(unused_variables)]
fn move_money(from: u32, to: u32) {}

/// As `move_money` was first.
#[deferred]
#[allow(unused_variables)]
fn move_first(from: String, to: String) {}

fn first(from: &str) -> Vec<u8> {
    encode(&MoveFirstArgs { from: from.to_owned(), to: "8".to_owned() }).unwrap()
}

#[test]
fn upgrades_are_called_by_their_number() {
    let upgraded = |index, bytes: &[u8]| upgrade::<MoveArgs>(index, bytes);
    assert_eq!(upgraded(0, &[1, 2]), Ok(MoveArgs { from: 1, to: 2 }));
    let mut bytes = first("7");
    assert_eq!(upgraded(1, &bytes), Ok(MoveArgs { from: 7, to: 8 }));
    bytes.push(0);
    assert!(reason(upgraded(1, &bytes)).contains("1 bytes too many"));
    bytes.truncate(2);
    assert!(reason(upgraded(1, &bytes)).contains("cannot be read back"));
    assert!(reason(upgraded(2, &bytes)).contains("no upgrade"));
    assert!(reason(upgrade::<PlainArgs>(0, &bytes)).contains("no upgrade"));
}

fn reason<A>(result: Result<A, UnreadableError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn an_upgrade_that_refuses_says_so_without_the_value() {
    let error = reason(upgrade::<MoveArgs>(1, &first("secret")));
    assert_eq!(error, "the upgrade `from_v1` refuses the value");
}

#[test]
fn the_schema_of_an_upgrade_has_the_fields_of_its_struct_as_parameters() {
    let [second, first] = move_money::registration().upgrades else { panic!("two upgrades") };
    assert_eq!(first.traced.schema(), move_first::registration().schema());
    assert_eq!(first.traced.shape(), move_first::registration().shape());
    assert_eq!(second.traced.schema().unwrap().to_string(), "(way: [u32; 2])");
}

/// Tasks whose upgrades cannot be used.
mod unusable {
    use super::{Deserialize, MoveV1, deferred};

    #[derive(Deserialize)]
    struct Renamed {
        #[serde(rename = "from")]
        source: String,
        to: Box<str>,
    }

    fn from_renamed(old: Renamed) -> TwiceArgs {
        TwiceArgs { id: old.source.len() + old.to.len() }
    }

    fn from_v1(old: MoveV1) -> TwiceArgs {
        TwiceArgs { id: old.from.len() + old.to.len() }
    }

    #[deferred(upgrade = [from_v1, from_renamed])]
    #[allow(unused_variables)]
    pub(super) fn twice(id: usize) {}

    fn from_pair(old: (usize, usize)) -> NoStructArgs {
        NoStructArgs { id: old.0 + old.1 }
    }

    #[deferred(upgrade = from_pair)]
    #[allow(unused_variables)]
    pub(super) fn no_struct(id: usize) {}

    #[derive(Deserialize)]
    struct Untagged {
        either: Either,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Id(usize),
    }

    fn from_untagged(old: Untagged) -> NoSchemaArgs {
        let Either::Id(id) = old.either;
        NoSchemaArgs { id }
    }

    #[deferred(upgrade = from_untagged)]
    #[allow(unused_variables)]
    pub(super) fn no_schema(id: usize) {}
}

fn problems(result: Result<(), Error>) -> Vec<String> {
    match result {
        Err(Error::Misconfigured { problems, .. }) => problems,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn upgrades_that_cannot_be_told_apart_or_traced_are_problems_of_a_consumer() {
    let registry = Registry::new()
        .with::<move_money>()
        .with::<unusable::twice>()
        .with::<unusable::no_struct>()
        .with::<unusable::no_schema>();
    let traced = problems(registry.schemas().map(drop));
    let [twice, no_struct, no_schema] = &traced[..] else { panic!("{traced:?}") };
    let of_twice = "upgrades `from_v1` and `from_renamed` take the same parameters, (from: String, \
                    to: String)";
    assert!(twice.contains(of_twice), "{twice}");
    let of_no_struct = "`from_pair` does not take a struct with named fields";
    assert!(no_struct.contains(of_no_struct), "{no_struct}");
    let of_no_schema = "the upgrade `from_untagged` has no schema: `from_untagged.either` asks";
    assert!(no_schema.contains(of_no_schema), "{no_schema}");

    let client = Client::builder().registry(registry).open("memory:").await.unwrap();
    assert_eq!(problems(client.worker().await), traced);
}

/// Paths that name nothing, beside one that does.
mod misspelt {
    use super::*;

    #[deferred(sensitive = ["card.nubmer", "card.number", "gone"], ignores = ["gone"])]
    #[allow(unused_variables)]
    pub(super) fn misspelt(card: Card) {}
}

#[tokio::test]
async fn a_sensitive_path_that_names_nothing_is_a_problem_of_a_consumer() {
    let registry = Registry::new().with::<misspelt::misspelt>().with::<charge>();
    let traced = problems(registry.schemas().map(drop));
    let [misspelt] = &traced[..] else { panic!("{traced:?}") };
    let expected = "`sensitive = [\"card.nubmer\"]` names nothing in (card: {number: String})";
    assert!(misspelt.contains(expected), "{misspelt}");
    let client = Client::builder().registry(registry).open("memory:").await.unwrap();
    assert_eq!(problems(client.worker().await), traced);
}
