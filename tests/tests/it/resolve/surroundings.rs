//! What else meets payloads of older parameters: aliases of kinds, dead letters, payload stores,
//! inline clients, asserts.

use gae_tasks::testing::{assert_deferred, assert_not_deferred, matching};
use gae_tasks::{Client, TaskState};

use super::stage::{Ran, World, versions};

versions! {
    moved {
        #[deferred(name = "rolling/moved_from")]
        pub async fn task(from: u64, to: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {from} to {to}"));
        }
    } => {
        #[deferred(name = "rolling/moved_to", alias = "rolling/moved_from")]
        pub async fn task(to: u64, from: u64, #[default(1)] copies: u8, #[state] ran: &Ran) {
            ran.note(format!("new: {from} to {to}, {copies}"));
        }
    }

    died {
        #[deferred(name = "rolling/died")]
        pub async fn task(from: u64, to: u64) -> Result<(), PermanentTaskFailure> {
            Err(PermanentTaskFailure::new(format!("no way from {from} to {to}")))
        }
    } => {
        #[deferred(name = "rolling/died")]
        pub async fn task(to: u64, from: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {from} to {to}"));
        }
    }

    spilled {
        #[deferred(name = "rolling/spilled")]
        pub async fn task(id: u64, text: String, #[state] ran: &Ran) {
            ran.note(format!("old: {id} {}", text.len()));
        }
    } => {
        #[deferred(name = "rolling/spilled")]
        pub async fn task(#[alias("text")] body: String, id: u8, #[state] ran: &Ran) {
            ran.note(format!("new: {id} {}", body.len()));
        }
    }

    inline {
        #[deferred(name = "rolling/inline")]
        pub async fn task(id: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {id}"));
        }
    } => {
        #[deferred(name = "rolling/inline", ignores = "gone")]
        pub async fn task(#[alias("id")] user: u64, #[default(3)] copies: u8, #[state] ran: &Ran) {
            ran.note(format!("new: {user} {copies}"));
        }
    }

    asserted {
        #[deferred(name = "rolling/asserted")]
        pub async fn task(from: u64, to: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {from} to {to}"));
        }
    } => {
        #[deferred(name = "rolling/asserted", alias = "rolling/asserted_before")]
        pub async fn task(to: u64, from: u8, #[state] ran: &Ran) {
            ran.note(format!("new: {from} to {to}"));
        }
    }

    asserted_before {
        #[deferred(name = "rolling/asserted_before")]
        pub async fn task(from: u64, to: u64, note: String, #[state] ran: &Ran) {
            ran.note(format!("old: {from} to {to} {note}"));
        }
    } => {}
}

#[tokio::test]
async fn a_moved_function_reads_the_older_parameters_of_its_older_kind() {
    use moved::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        assert_eq!(world.resolves(old::task::defer(1, 2), &after).await, "new: 1 to 2, 1");
        let why = world.waits(new::task::defer(2, 1, 9), &before).await;
        assert!(why.contains("no task of kind `rolling/moved_to` is registered"), "{why}");
        assert_eq!(world.run(&after).await, ["new: 1 to 2, 9"]);
    }
}

#[tokio::test]
async fn a_dead_letter_of_older_parameters_is_replayed_by_the_new_program() {
    use died::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let id = old::task::defer(1, 2).on(&before).await.unwrap().id;
        before.drain().await.unwrap_err();
        assert_eq!(world.record(&after, id).await.state, TaskState::Dead);
        after.replay(id).await.unwrap();
        assert_eq!(world.run(&after).await, ["new: 1 to 2"]);
    }
}

#[tokio::test]
async fn a_spilled_payload_is_read_by_name_and_kept_when_it_is_refused() {
    use spilled::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let text = "x".repeat(10_000);
        old::task::defer(7, &text).on(&before).await.unwrap();
        old::task::defer(700, &text).on(&before).await.unwrap();
        assert_eq!(world.spilled(), 2);
        assert_eq!(world.run(&after).await, ["new: 7 10000"]);
        assert_eq!(world.spilled(), 1, "the payload that was refused is kept");
        assert_eq!(world.run(&before).await, ["old: 700 10000"]);
        assert_eq!(world.spilled(), 0);
    }
}

#[tokio::test]
async fn inline_and_performed_calls_have_what_was_passed() {
    use inline::new;
    let ran = Ran::default();
    let builder = || Client::builder().state(ran.clone());
    let registry = gae_tasks::Registry::new().with::<new::task>();
    let tasks = builder().registry(registry.clone()).inline(true).open("memory:").await.unwrap();
    new::task::defer(1, 2).on(&tasks).await.unwrap();
    let tasks = builder().registry(registry).open("memory:").await.unwrap();
    tasks.perform(new::task::defer(3, 4)).await.unwrap();
    assert_eq!(ran.take(), ["new: 1 2", "new: 3 4"]);
}

#[tokio::test]
async fn asserts_read_older_parameters_as_a_worker_does() {
    use asserted::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        old::task::defer(1, 2).on(&after).await.unwrap();
        assert_deferred!(after, new::task, |args| (args.from, args.to) == (1, 2));
        assert_not_deferred!(after, new::task, |args| args.from == 2);
        old::task::defer(256, 2).on(&after).await.unwrap();
        asserted_before::old::task::defer(3, 4, "secret").on(&after).await.unwrap();
        let found = matching::<new::task>(&after, |_| true);
        assert_eq!(found.matching, 1);
        let text = found.to_string();
        assert!(text.contains("TaskArgs { to: 2, from: 1 }"), "{text}");
        assert!(text.contains("(unreadable: parameter `from` holds a number"), "{text}");
        assert!(text.contains("(other parameters: parameter `note` is not known here"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
