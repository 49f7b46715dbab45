use std::cell::Cell;

use gae_tasks::deferred;

#[deferred]
async fn count(#[state] counter: &Cell<u64>) {
    counter.set(1);
}

fn main() {}
