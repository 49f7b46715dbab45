#![deny(warnings)]

use gae_tasks::deferred;

#[deprecated = "use `new`"]
#[deferred]
async fn before(value: u8) {
    println!("{value}");
}

#[deferred]
#[deprecated(since = "1.0.0", note = "use `new`")]
async fn after(value: u8) {
    println!("{value}");
}

#[deprecated]
#[derive(serde::Serialize, serde::Deserialize)]
struct Old;

#[deferred]
#[allow(deprecated)]
async fn of_a_deprecated_type(value: Old) {
    drop(value);
}

#[allow(deprecated)]
fn main() {
    drop((before::defer(1), AfterArgs { value: 1 }.defer(), of_a_deprecated_type::defer(Old)));
}
