//! The version after the deploy: `rolling_new VERB URL LEDGER [SEED [COUNT]]`, see
//! [`gae_tasks_tests_push::rolling::Program`].

use gae_tasks::{BoxError, deferred};
use gae_tasks_tests_push::rolling::{Ledger, Order, Program, Random, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Two parameters of one type have changed places, and the number went to the end.
#[deferred(name = "rolling/swap", queue = "rolling", args(derive(Serialize)))]
async fn swap(to: String, from: String, number: u64, #[state] ledger: &Ledger) {
    ledger.ran("swap", json!({"number": number, "from": from, "to": to})).await;
}

/// The fields have other places.
#[derive(Serialize, Deserialize)]
struct Transfer {
    memo: String,
    to: u64,
    from: u64,
}

#[deferred(name = "rolling/reorder", queue = "rolling", args(derive(Serialize)))]
async fn reorder(transfer: Transfer, number: u64, #[state] ledger: &Ledger) {
    ledger.ran("reorder", json!({"number": number, "transfer": transfer})).await;
}

/// Was `amount`.
#[deferred(name = "rolling/rename", queue = "rolling", args(derive(Serialize)))]
async fn rename(number: u64, #[alias("amount")] cents: u64, #[state] ledger: &Ledger) {
    ledger.ran("rename", json!({"number": number, "cents": cents})).await;
}

/// Two parameters were added.
#[deferred(name = "rolling/add", queue = "rolling", args(derive(Serialize)))]
async fn add(
    number: u64,
    user: u64,
    #[default("EUR")] currency: String,
    note: Option<String>,
    #[state] ledger: &Ledger,
) {
    let values = json!({"number": number, "user": user, "currency": currency, "note": note});
    ledger.ran("add", values).await;
}

/// `note` was removed.
#[deferred(name = "rolling/remove", queue = "rolling", args(derive(Serialize)), ignores = ["note"])]
async fn remove(number: u64, user: u64, #[state] ledger: &Ledger) {
    ledger.ran("remove", json!({"number": number, "user": user})).await;
}

/// `Warn` was added, and the others have other places.
#[derive(Clone, Serialize, Deserialize)]
enum Action {
    Warn(u32),
    Rename(String),
    Delete,
    Suspend,
}

#[deferred(name = "rolling/vary", queue = "rolling", args(derive(Serialize)))]
async fn vary(number: u64, action: Action, #[state] ledger: &Ledger) {
    ledger.ran("vary", json!({"number": number, "action": action})).await;
}

/// `cents` was a u32.
#[deferred(name = "rolling/widen", queue = "rolling", args(derive(Serialize)))]
async fn widen(number: u64, cents: u64, #[state] ledger: &Ledger) {
    ledger.ran("widen", json!({"number": number, "cents": cents})).await;
}

/// `percent` was a u64.
#[deferred(name = "rolling/narrow", queue = "rolling", args(derive(Serialize)))]
async fn narrow(number: u64, percent: u8, #[state] ledger: &Ledger) {
    ledger.ran("narrow", json!({"number": number, "percent": percent})).await;
}

/// The parameters of `split` before it was split.
#[derive(Deserialize)]
struct SplitV1 {
    number: u64,
    name: String,
}

fn from_v1(old: SplitV1) -> Result<SplitArgs, &'static str> {
    let (first, last) = old.name.split_once(' ').ok_or("the name is one word")?;
    Ok(SplitArgs { number: old.number, first: first.to_owned(), last: last.to_owned() })
}

#[deferred(name = "rolling/split", queue = "rolling", args(derive(Serialize)), upgrade = from_v1)]
async fn split(number: u64, first: String, last: String, #[state] ledger: &Ledger) {
    ledger.ran("split", json!({"number": number, "first": first, "last": last})).await;
}

/// `price` was `cents`, `gift` was added, `note` was removed.
#[derive(Serialize, Deserialize)]
struct Item {
    #[serde(alias = "cents")]
    price: u32,
    #[serde(default)]
    gift: bool,
    id: u64,
}

#[deferred(
    name = "rolling/nest",
    queue = "rolling",
    args(derive(Serialize)),
    ignores = ["items.note"],
)]
async fn nest(number: u64, items: Vec<Item>, #[state] ledger: &Ledger) {
    ledger.ran("nest", json!({"number": number, "items": items})).await;
}

/// Was at another path.
#[deferred(
    name = "rolling/relocate",
    queue = "rolling",
    args(derive(Serialize)),
    alias = ["rolling/former"],
)]
async fn relocate(number: u64, user: u64, #[state] ledger: &Ledger) {
    ledger.ran("relocate", json!({"number": number, "user": user})).await;
}

/// `stars` was a u64, which is no f64 under another name: digits could be lost.
#[deferred(name = "rolling/retype", queue = "rolling", args(derive(Serialize)))]
async fn retype(number: u64, stars: f64, #[state] ledger: &Ledger) {
    ledger.ran("retype", json!({"number": number, "stars": stars})).await;
}

fn order(turn: u64, random: &mut Random) -> Order {
    let (number, is_unusual) = (random.number(), turn / 12 % 2 == 1);
    match turn % 12 {
        0 => Order::new("swap", &SwapArgs { number, from: random.word(), to: random.word() }),
        1 => {
            let (from, to, memo) = (random.number(), random.number() % 9, random.word());
            Order::new("reorder", &ReorderArgs { number, transfer: Transfer { from, to, memo } })
        }
        2 => Order::new("rename", &RenameArgs { number, cents: random.number() }),
        3 => {
            let (user, note) = (random.number(), is_unusual.then(|| random.word()));
            let currency = random.pick(&["EUR", "CHF"]).to_owned();
            Order::new("add", &AddArgs { number, user, currency, note })
        }
        4 => Order::new("remove", &RemoveArgs { number, user: random.number() }),
        5 => {
            let renamed = Action::Rename(random.word());
            let known = random.pick(&[Action::Suspend, Action::Delete, renamed]);
            let action = if is_unusual { Action::Warn(random.number() as u32) } else { known };
            Order::new("vary", &VaryArgs { number, action })
        }
        6 => {
            let beyond = if is_unusual { 1 << 32 } else { 0 };
            Order::new("widen", &WidenArgs { number, cents: beyond + random.number() % (1 << 32) })
        }
        7 => Order::new("narrow", &NarrowArgs { number, percent: random.number() as u8 }),
        8 => Order::new("split", &SplitArgs { number, first: random.word(), last: random.word() }),
        9 => {
            let item = |id| Item { id, price: random.number() as u32, gift: id % 2 == 0 };
            let items = (u64::from(!is_unusual)..3).map(item).collect();
            Order::new("nest", &NestArgs { number, items })
        }
        10 => Order::new("relocate", &RelocateArgs { number, user: random.number() }),
        _ => {
            Order::new("retype", &RetypeArgs { number, stars: (random.number() % 11) as f64 / 2.0 })
        }
    }
}

fn main() -> Result<(), BoxError> {
    Program { version: Version::New, order }.main()
}
