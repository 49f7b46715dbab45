//! The cost of schemas: to trace one, once for each task, and to read a payload that was written
//! under another schema, beside the plain decode.
//!
//! ```text
//! cargo bench -p gae-tasks --bench schemas --features testing [-- PART]
//! ```

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use gae_tasks::__private::{self as door, Args, Decoder, Traced};
use gae_tasks::testing::pair::{Reader, Resolution};
use gae_tasks::{Task, deferred};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Address {
    street: String,
    city: String,
    zip: String,
    country: String,
}

/// 20 fields, with those of the addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: u64,
    name: String,
    email: String,
    phone: Option<String>,
    cents: i64,
    currency: [u8; 3],
    created: u64,
    paid: Option<u64>,
    ship_to: Address,
    bill_to: Option<Address>,
    items: Vec<Item>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item {
    article: u32,
    count: u32,
    note: Option<String>,
    discount: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Event {
    Opened,
    Closed,
    Paid(u64),
    Refused { code: u16, reason: String },
    Moved(String, String),
    E05,
    E06(u32),
    E07 { at: u64 },
    E08,
    E09(String),
    E10 { by: u64, note: Option<String> },
    E11,
    E12(u8, u8),
    E13,
    E14(Vec<u64>),
    E15 { city: String },
    E16,
    E17(i64),
    E18,
    E19(bool),
    E20 { from: u32, to: u32 },
    E21,
    E22(String),
    E23,
    E24(f64),
    E25 { id: u64 },
    E26,
    E27(Option<u64>),
    E28,
    E29(char),
}

#[deferred]
fn ship(order: Order) {
    black_box(order);
}

#[deferred]
fn note(event: Event) {
    black_box(event);
}

#[deferred]
fn send(user_id: u64, to: String, urgent: bool) {
    black_box((user_id, to, urgent));
}

/// What `send` was before it had its names and the width of its number.
#[deferred]
fn send_before(urgent: bool, user: u32, to: String) {
    black_box((user, to, urgent));
}

/// The tasks of `send_before` are read as those of this one.
#[deferred]
fn send_now(#[alias("user")] user_id: u64, to: String, urgent: bool) {
    black_box((user_id, to, urgent));
}

#[deferred]
fn ship_before(order: OrderBefore) {
    black_box(order);
}

/// An order whose fields stood in another order.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OrderBefore {
    items: Vec<Item>,
    ship_to: Address,
    id: u32,
    customer: u64,
    name: String,
    email: String,
    cents: i64,
    currency: [u8; 3],
    created: u64,
    bill_to: Option<Address>,
}

fn trace<A: Args>() {
    assert!(Traced::new(A::trace).schema().is_ok());
}

/// The schema that payloads of the task `B` have, and how they are read as those of `A`.
fn resolution<B: Task, A: Task>() -> Resolution {
    let (before, now) = (B::registration(), A::registration());
    let reader =
        Reader { schema: now.schema().unwrap(), parameters: now.parameters, ignores: now.ignores };
    Resolution::between(Arc::new(before.schema().unwrap().clone()), &reader).unwrap()
}

fn resolve<A: Args>(resolution: &Resolution, bytes: &[u8]) -> A {
    let mut decoder = Decoder::resolved(resolution, bytes).unwrap();
    let args = A::decode(&mut decoder).unwrap();
    decoder.end().unwrap();
    args
}

fn schemas(criterion: &mut Criterion) {
    for (what, trace) in
        [("20 fields", trace::<ShipArgs> as fn()), ("30 variants", trace::<NoteArgs>)]
    {
        let begun = Instant::now();
        trace();
        println!("{what}: {:?} at the first time", begun.elapsed());
    }
    criterion.bench_function("trace 20 fields", |b| b.iter(trace::<ShipArgs>));
    criterion.bench_function("trace 30 variants", |b| b.iter(trace::<NoteArgs>));

    let to = "someone@mail.example.org".to_owned();
    let now = door::encode(&SendArgs { user_id: 42, to: to.clone(), urgent: true }).unwrap();
    let before = door::encode(&SendBeforeArgs { urgent: true, user: 42, to }).unwrap();
    let by_name = resolution::<send_before, send_now>();
    criterion.bench_function("decode 3 parameters", |b| {
        b.iter(|| door::decode::<SendArgs>(black_box(&now)).unwrap())
    });
    criterion.bench_function("resolve 3 parameters", |b| {
        b.iter(|| resolve::<SendNowArgs>(black_box(&by_name), black_box(&before)))
    });
    orders(criterion);
    criterion.bench_function("decide about 3 parameters", |b| {
        b.iter(resolution::<send_before, send_now>)
    });
}

fn orders(criterion: &mut Criterion) {
    let text = || "a text of some length".to_owned();
    let address = Address { street: text(), city: text(), zip: text(), country: text() };
    let items = vec![Item { article: 7, count: 2, note: Some(text()), discount: 0.5 }; 2];
    let before = OrderBefore {
        items,
        ship_to: address.clone(),
        id: 42,
        customer: 7,
        name: text(),
        email: text(),
        cents: 1_000,
        currency: *b"EUR",
        created: 1_800_000_000,
        bill_to: Some(address),
    };
    let before = door::encode(&ShipBeforeArgs { order: before }).unwrap();
    let by_name = resolution::<ship_before, ship>();
    let order = resolve::<ShipArgs>(&by_name, &before);
    let now = door::encode(&order).unwrap();
    criterion.bench_function("decode 20 fields", |b| {
        b.iter(|| door::decode::<ShipArgs>(black_box(&now)).unwrap())
    });
    criterion.bench_function("resolve 20 fields", |b| {
        b.iter(|| resolve::<ShipArgs>(black_box(&by_name), black_box(&before)))
    });
}

criterion_group!(benches, schemas);
criterion_main!(benches);
