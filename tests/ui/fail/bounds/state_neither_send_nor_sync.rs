use std::rc::Rc;

use gae_tasks::deferred;

#[deferred]
fn count(#[state] counter: &Rc<u64>) {
    println!("{counter}");
}

fn main() {}
