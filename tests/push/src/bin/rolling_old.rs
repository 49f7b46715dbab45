//! The version before the deploy: `rolling_old VERB URL LEDGER [SEED [COUNT]]`, see
//! [`gae_tasks_tests_push::rolling::Program`].

use gae_tasks::{BoxError, deferred};
use gae_tasks_tests_push::rolling::{Ledger, Order, Program, Random, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[deferred(name = "rolling/swap", queue = "rolling", args(derive(Serialize)))]
async fn swap(number: u64, from: String, to: String, #[state] ledger: &Ledger) {
    ledger.ran("swap", json!({"number": number, "from": from, "to": to})).await;
}

#[derive(Serialize, Deserialize)]
struct Transfer {
    from: u64,
    to: u64,
    memo: String,
}

#[deferred(name = "rolling/reorder", queue = "rolling", args(derive(Serialize)))]
async fn reorder(number: u64, transfer: Transfer, #[state] ledger: &Ledger) {
    ledger.ran("reorder", json!({"number": number, "transfer": transfer})).await;
}

#[deferred(name = "rolling/rename", queue = "rolling", args(derive(Serialize)))]
async fn rename(number: u64, amount: u64, #[state] ledger: &Ledger) {
    ledger.ran("rename", json!({"number": number, "amount": amount})).await;
}

#[deferred(name = "rolling/add", queue = "rolling", args(derive(Serialize)))]
async fn add(number: u64, user: u64, #[state] ledger: &Ledger) {
    ledger.ran("add", json!({"number": number, "user": user})).await;
}

#[deferred(name = "rolling/remove", queue = "rolling", args(derive(Serialize)))]
async fn remove(number: u64, user: u64, note: String, #[state] ledger: &Ledger) {
    ledger.ran("remove", json!({"number": number, "user": user, "note": note})).await;
}

#[derive(Clone, Serialize, Deserialize)]
enum Action {
    Suspend,
    Delete,
    Rename(String),
}

#[deferred(name = "rolling/vary", queue = "rolling", args(derive(Serialize)))]
async fn vary(number: u64, action: Action, #[state] ledger: &Ledger) {
    ledger.ran("vary", json!({"number": number, "action": action})).await;
}

#[deferred(name = "rolling/widen", queue = "rolling", args(derive(Serialize)))]
async fn widen(number: u64, cents: u32, #[state] ledger: &Ledger) {
    ledger.ran("widen", json!({"number": number, "cents": cents})).await;
}

#[deferred(name = "rolling/narrow", queue = "rolling", args(derive(Serialize)))]
async fn narrow(number: u64, percent: u64, #[state] ledger: &Ledger) {
    ledger.ran("narrow", json!({"number": number, "percent": percent})).await;
}

#[deferred(name = "rolling/split", queue = "rolling", args(derive(Serialize)))]
async fn split(number: u64, name: String, #[state] ledger: &Ledger) {
    ledger.ran("split", json!({"number": number, "name": name})).await;
}

#[derive(Serialize, Deserialize)]
struct Item {
    id: u64,
    cents: u32,
    note: String,
}

#[deferred(name = "rolling/nest", queue = "rolling", args(derive(Serialize)))]
async fn nest(number: u64, items: Vec<Item>, #[state] ledger: &Ledger) {
    ledger.ran("nest", json!({"number": number, "items": items})).await;
}

#[deferred(name = "rolling/former", queue = "rolling", args(derive(Serialize)))]
async fn relocate(number: u64, user: u64, #[state] ledger: &Ledger) {
    ledger.ran("relocate", json!({"number": number, "user": user})).await;
}

#[deferred(name = "rolling/retype", queue = "rolling", args(derive(Serialize)))]
async fn retype(number: u64, stars: u64, #[state] ledger: &Ledger) {
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
        2 => Order::new("rename", &RenameArgs { number, amount: random.number() }),
        3 => Order::new("add", &AddArgs { number, user: random.number() }),
        4 => {
            let (user, note) = (random.number(), random.word());
            Order::new("remove", &RemoveArgs { number, user, note })
        }
        5 => {
            let renamed = Action::Rename(random.word());
            let action = random.pick(&[Action::Suspend, Action::Delete, renamed]);
            Order::new("vary", &VaryArgs { number, action })
        }
        6 => Order::new("widen", &WidenArgs { number, cents: random.number() as u32 }),
        7 => {
            let percent = random.number() % 256 + if is_unusual { random.number() >> 1 } else { 0 };
            Order::new("narrow", &NarrowArgs { number, percent })
        }
        8 => {
            let space = if is_unusual { "" } else { " " };
            let name = format!("{}{space}{}", random.word(), random.word());
            Order::new("split", &SplitArgs { number, name })
        }
        9 => {
            let item = |id| Item { id, cents: random.number() as u32, note: random.word() };
            let items = (u64::from(!is_unusual)..3).map(item).collect();
            Order::new("nest", &NestArgs { number, items })
        }
        10 => Order::new("relocate", &RelocateArgs { number, user: random.number() }),
        _ => Order::new("retype", &RetypeArgs { number, stars: random.number() % 6 }),
    }
}

fn main() -> Result<(), BoxError> {
    Program { version: Version::Old, order }.main()
}
