//! Fuzzes the reader of `queue.yaml`: a text is queues, which can be planned and made, or is
//! refused with places in it.

use gae_tasks::backend::memory::Memory;
use gae_tasks::{Client, Error, Queues, Registry};
use pollster::block_on;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match text.parse::<Queues>() {
        Ok(queues) => can_be_made(queues),
        Err(Error::ConfigFile { mistakes, .. }) => {
            assert!(!mistakes.is_empty(), "{text:?} is refused without a reason");
            // A mistake may be told after the end: something is missing there. CR ends a line too.
            let lines = text.split(['\n', '\r']).count() + 1;
            for mistake in mistakes {
                assert!((1..=lines).contains(&mistake.line) && mistake.column > 0, "{mistake}");
                assert!(!mistake.problem.contains(char::is_control), "{mistake}");
            }
        }
        Err(error) => panic!("{text:?}: {error}"),
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
