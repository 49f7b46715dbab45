//! Parameters that are swapped, renamed, added and removed.

use super::stage::{World, versions};

versions! {
    swapped {
        #[deferred(name = "rolling/swapped")]
        pub async fn task(from: u64, to: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {from} to {to}"));
        }
    } => {
        #[deferred(name = "rolling/swapped")]
        pub async fn task(to: u64, from: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {from} to {to}"));
        }
    }

    renamed {
        #[deferred(name = "rolling/renamed")]
        pub async fn task(amount: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {amount}"));
        }
    } => {
        #[deferred(name = "rolling/renamed")]
        pub async fn task(#[alias("amount")] cents: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {cents}"));
        }
    }

    renamed_without_alias {
        #[deferred(name = "rolling/renamed_without_alias")]
        pub async fn task(amount: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {amount}"));
        }
    } => {
        #[deferred(name = "rolling/renamed_without_alias")]
        pub async fn task(cents: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {cents}"));
        }
    }

    added {
        #[deferred(name = "rolling/added")]
        pub async fn task(user: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {user}"));
        }
    } => {
        const COPIES: u8 = 7;

        #[deferred(name = "rolling/added")]
        pub async fn task(
            #[default(COPIES + 1)] copies: u8,
            #[default("en")] language: String,
            user: u64,
            #[default] retries: u32,
            sender: Option<String>,
            #[state] ran: &Ran,
        ) {
            ran.note(format!("new: {user} {copies} {language} {retries} {sender:?}"));
        }
    }

    added_without_default {
        #[deferred(name = "rolling/added_without_default")]
        pub async fn task(user: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {user}"));
        }
    } => {
        #[deferred(name = "rolling/added_without_default")]
        pub async fn task(user: u64, language: String, #[state] ran: &Ran) {
            ran.note(format!("new: {user} {language}"));
        }
    }

    removed {
        #[deferred(name = "rolling/removed")]
        pub async fn task(note: String, user: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {user} {note}"));
        }
    } => {
        #[deferred(name = "rolling/removed")]
        pub async fn task(user: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {user}"));
        }
    }

    removed_and_ignored {
        #[deferred(name = "rolling/removed_and_ignored")]
        pub async fn task(note: String, user: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {user} {note}"));
        }
    } => {
        #[deferred(name = "rolling/removed_and_ignored", ignores = "note")]
        pub async fn task(user: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {user}"));
        }
    }

    something_else {
        #[deferred(name = "rolling/something_else")]
        pub async fn task(cents: u32, #[state] ran: &Ran) {
            ran.note(format!("old: {cents}"));
        }
    } => {
        #[deferred(name = "rolling/something_else")]
        pub async fn task(cents: String, #[state] ran: &Ran) {
            ran.note(format!("new: {cents}"));
        }
    }

    plain {
        #[deferred(name = "rolling/plain")]
        pub fn task(from: u64, to: u64, #[state] ran: Ran) {
            ran.note(format!("old: {from} to {to}"));
        }
    } => {
        #[deferred(name = "rolling/plain")]
        pub fn task(to: u64, from: u64, #[state] ran: Ran) {
            ran.note(format!("new: {from} to {to}"));
        }
    }
}

#[tokio::test]
async fn swapped_parameters_run_right_in_both_directions() {
    use swapped::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        assert_eq!(world.resolves(old::task::defer(1, 2), &after).await, "new: 1 to 2");
        assert_eq!(world.resolves(new::task::defer(2, 1), &before).await, "old: 1 to 2");
        assert_eq!(world.resolves(new::task::defer(2, 1), &after).await, "new: 1 to 2");
    }
}

#[tokio::test]
async fn plain_functions_are_called_as_async_ones_are() {
    use plain::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        assert_eq!(world.resolves(old::task::defer(1, 2), &after).await, "new: 1 to 2");
    }
}

#[tokio::test]
async fn a_renamed_parameter_is_read_by_its_alias() {
    use renamed::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        assert_eq!(world.resolves(old::task::defer(5), &after).await, "new: 5");
        let why = world.waits(new::task::defer(6), &before).await;
        assert!(why.contains("parameter `cents` is not known here"), "{why}");
        assert_eq!(world.run(&after).await, ["new: 6"], "the new program has it");
    }
}

#[tokio::test]
async fn a_renamed_parameter_without_an_alias_waits_and_both_sides_are_named() {
    use renamed_without_alias::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        let why = world.waits(old::task::defer(5), &after).await;
        assert!(why.contains("parameter `amount` is not known here"), "{why}");
        assert!(why.contains("parameter `cents` is missing from the stored payload"), "{why}");
    }
}

#[tokio::test]
async fn added_parameters_have_their_defaults() {
    use added::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        assert_eq!(world.resolves(old::task::defer(5), &after).await, "new: 5 8 en 0 None");
        let all = new::task::defer(1, "de", 5, 3, Some("me".to_owned()));
        assert_eq!(world.resolves(all, &after).await, "new: 5 1 de 3 Some(\"me\")");
    }
}

#[tokio::test]
async fn an_old_worker_never_drops_a_new_parameter() {
    use added::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let why = world.waits(new::task::defer(1, "de", 5, 3, None), &before).await;
        for parameter in ["copies", "language", "retries", "sender"] {
            let unknown = format!("parameter `{parameter}` is not known here");
            assert!(why.contains(&unknown), "{why}");
        }
        old::task::defer(6).on(&after).await.unwrap();
        assert_eq!(world.run(&before).await, ["old: 6"], "the old worker has what it can");
        assert_eq!(world.run(&after).await, ["new: 5 1 de 3 None"]);
    }
}

#[tokio::test]
async fn an_added_parameter_without_a_default_waits_for_the_old_program() {
    use added_without_default::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let why = world.waits(old::task::defer(5), &after).await;
        assert!(why.contains("parameter `language` is missing from the stored payload"), "{why}");
        assert!(why.contains("add `#[default]`"), "{why}");
        assert_eq!(world.run(&before).await, ["old: 5"]);
    }
}

#[tokio::test]
async fn a_removed_parameter_waits_unless_it_is_ignored() {
    for world in World::each().await {
        let after = world.program::<removed::new::task>();
        let why = world.waits(removed::old::task::defer("hi", 5), &after).await;
        assert!(why.contains("parameter `note` is not known here"), "{why}");
        assert!(why.contains("`ignores = [\"note\"]`"), "{why}");
        let before = world.program::<removed::old::task>();
        assert_eq!(world.run(&before).await, ["old: 5 hi"]);

        use removed_and_ignored::{new, old};
        let after = world.program::<new::task>();
        assert_eq!(world.resolves(old::task::defer("hi", 5), &after).await, "new: 5");
    }
}

#[tokio::test]
async fn a_parameter_of_another_type_waits_and_both_types_are_named() {
    use something_else::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let why = world.waits(old::task::defer(5), &after).await;
        assert!(why.contains("parameter `cents`: was a u32, is a String"), "{why}");
        assert!(why.contains("`rolling/something_else`") && why.contains("parameters.rs"), "{why}");
        let line = after.unroutable().await.unwrap()[0].to_string();
        assert!(line.starts_with("1 tasks wait in queue `default`: "), "{line}");
        assert_eq!(before.unroutable().await.unwrap(), []);
        assert_eq!(world.run(&before).await, ["old: 5"]);
    }
}

#[tokio::test]
async fn in_a_rolling_deploy_each_program_takes_what_it_can() {
    use {added as waits, swapped as both};
    for world in World::each().await {
        let [before, after] = [
            gae_tasks::Registry::new().with::<both::old::task>().with::<waits::old::task>(),
            gae_tasks::Registry::new().with::<both::new::task>().with::<waits::new::task>(),
        ]
        .map(|registry| world.client(registry));
        for number in 0..10 {
            both::old::task::defer(number, 0).on(&before).await.unwrap();
            both::new::task::defer(0, 10 + number).on(&after).await.unwrap();
            waits::old::task::defer(number).on(&before).await.unwrap();
            waits::new::task::defer(1, "de", number, 0, None).on(&after).await.unwrap();
        }
        let mut ran = world.run(&before).await;
        ran.sort();
        let mut expected: Vec<_> = (0..20).map(|number| format!("old: {number} to 0")).collect();
        expected.extend((0..10).map(|number| format!("old: {number}")));
        expected.sort();
        assert_eq!(ran, expected);
        let expected: Vec<_> = (0..10).map(|number| format!("new: {number} 1 de 0 None")).collect();
        assert_eq!(world.run(&after).await, expected);
    }
}
