//! A payload of another schema is read without an allocation for each field. The counter is the
//! allocator of its whole program.

use std::hint::black_box;
use std::sync::Arc;

use allocation_counter::measure;
use gae_tasks::__private::{self as door, Args, Decoder};
use gae_tasks::testing::pair::{Reader, Resolution};
use gae_tasks::{Task, deferred};
use serde::{Deserialize, Serialize};

/// How many more allocations than the plain decode a payload may cost, however many fields it has.
const CONSTANT: u64 = 2;

#[deferred]
fn send(user_id: u64, to: String, urgent: bool) {
    black_box((user_id, to, urgent));
}

/// What `send` was before.
#[deferred]
fn send_before(urgent: bool, user: u32, to: String) {
    black_box((user, to, urgent));
}

/// Reads the payloads of `send_before`.
#[deferred]
fn send_now(#[alias("user")] user_id: u64, to: String, urgent: bool) {
    black_box((user_id, to, urgent));
}

/// Structs of the same 20 fields, in the order in which they stand and in another.
macro_rules! orders {
    ($($name:ident: $ty:ident { $($field:ident),* })*) => {$(
        #[derive(Serialize, Deserialize, Default)]
        struct $name { $($field: $ty),* }
    )*};
}

orders! {
    Order: u64 { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t }
    OrderBefore: u32 { t, s, r, q, p, o, n, m, l, k, j, i, h, g, f, e, d, c, b, a }
}

#[deferred]
fn ship(order: Order, others: Vec<Order>) {
    black_box((order.a, others.len()));
}

#[deferred]
fn ship_before(others: Vec<OrderBefore>, order: OrderBefore) {
    black_box((order.a, others.len()));
}

/// The schema that payloads of the task `B` have, and how they are read as those of `A`.
fn resolution<B: Task, A: Task>() -> Resolution {
    let (before, now) = (B::registration(), A::registration());
    let reader =
        Reader { schema: now.schema().unwrap(), parameters: now.parameters, ignores: now.ignores };
    Resolution::between(Arc::new(before.schema().unwrap().clone()), &reader).unwrap()
}

fn resolve<A: Args>(resolution: &Resolution, bytes: &[u8]) {
    let mut decoder = Decoder::resolved(resolution, bytes).unwrap();
    black_box(A::decode(&mut decoder).unwrap());
    decoder.end().unwrap();
}

/// The allocations of the decode of `now`, and of `before`, which is resolved.
fn allocations<A: Task, B: Task>(now: &[u8], before: &[u8]) -> (u64, u64) {
    let by_name = resolution::<B, A>();
    // What is made once for a pair of schemas is made by now.
    resolve::<A::Args>(&by_name, before);
    let plain = measure(|| _ = black_box(door::decode::<A::Args>(now).unwrap()));
    let resolved = measure(|| resolve::<A::Args>(&by_name, before));
    (plain.count_total, resolved.count_total)
}

#[test]
fn three_small_parameters_are_resolved_with_the_allocations_of_the_plain_decode() {
    let to = "someone@mail.example.org".to_owned();
    let now = door::encode(&SendNowArgs { user_id: 42, to: to.clone(), urgent: true }).unwrap();
    let same = door::encode(&SendArgs { user_id: 42, to: to.clone(), urgent: true }).unwrap();
    assert_eq!(now, same, "the alias changes no byte");
    let before = door::encode(&SendBeforeArgs { urgent: true, user: 42, to }).unwrap();
    let (plain, resolved) = allocations::<send_now, send_before>(&now, &before);
    assert_eq!(plain, 1, "the text");
    assert!(resolved <= plain + CONSTANT, "{resolved} allocations, {plain} in a plain decode");
}

#[test]
fn many_fields_are_resolved_with_the_allocations_of_few() {
    let orders = |count| (0..count).map(|_| Order::default()).collect();
    let orders_before = |count| (0..count).map(|_| OrderBefore::default()).collect();
    for count in [0, 1, 50] {
        let now = ShipArgs { order: Order::default(), others: orders(count) };
        let before = ShipBeforeArgs { others: orders_before(count), order: OrderBefore::default() };
        let (now, before) = (door::encode(&now).unwrap(), door::encode(&before).unwrap());
        let (plain, resolved) = allocations::<ship, ship_before>(&now, &before);
        assert_eq!(plain, u64::from(count > 0), "the list");
        assert!(resolved <= plain + CONSTANT, "{count}: {resolved} allocations against {plain}");
    }
}
