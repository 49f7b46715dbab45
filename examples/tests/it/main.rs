//! The examples, started as a user starts them, and the tests that stand in their parts.
#![allow(dead_code)] // What only an example itself uses.

mod bench;
mod check_deploy;
#[path = "../../soak/crew.rs"]
mod crew;
mod cron;
#[path = "../../shop/gateway.rs"]
mod gateway;
#[path = "../../soak/growth.rs"]
mod growth;
mod help;
#[path = "../../bench/latency.rs"]
mod latency;
#[path = "../../soak/ledger.rs"]
mod ledger;
#[path = "../../bench/load.rs"]
mod load;
#[path = "../../soak/mix.rs"]
mod mix;
#[path = "../../shop/orders.rs"]
mod orders;
#[path = "../../web/outbox.rs"]
mod outbox;
#[path = "../../web/page.rs"]
mod page;
#[path = "../../bench/place.rs"]
mod place;
mod plan_queues;
mod receipts;
#[path = "../../shop/routes.rs"]
mod routes;
#[path = "../../soak/sample.rs"]
mod sample;
mod served;
#[path = "../../web/server.rs"]
mod server;
mod shop;
mod soak;
mod started;
#[path = "../../soak/tasks.rs"]
mod tasks;
#[path = "../../testing.rs"]
mod testing;
mod web;
