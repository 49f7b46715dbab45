//! Fuzzes the reader of `queue.yaml`: a text is queues, which can be planned and made, or is
//! refused with places in it.

use gae_tasks::backend::memory::Memory;
use gae_tasks::{Client, Queues, Registry};
use pollster::block_on;

use crate::refused;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match text.parse::<Queues>() {
        Ok(queues) => can_be_made(queues),
        Err(error) => refused::check(text, &error),
    }
}

fn can_be_made(queues: Queues) {
    let client = Client::builder().registry(Registry::new()).build(Memory::new());
    let client = client.expect("a client in memory");
    let plan = block_on(client.plan_queues(queues.clone())).expect("a file's queues are valid");
    block_on(plan.apply()).expect("memory does not fail");
    let again = block_on(client.plan_queues(queues)).expect("they are still valid");
    assert!(again.is_empty(), "{again}");
}
