//! The assertions of the test kit, and the `Debug` output of a deferred call.
//!
//! Tasks of one kind with different parameters represent versions of a program, so no worker can be
//! built here.

use gae_tasks::testing::{assert_deferred, assert_not_deferred, matching};
use gae_tasks::{Client, PermanentTaskFailure, deferred};

#[deferred(name = "shop/send", alias = ["shop/old_send"])]
async fn send(text: String) {
    drop(text);
}

#[deferred(name = "shop/old_send")]
async fn send_before_it_was_renamed(text: String) {
    drop(text);
}

#[deferred(name = "shop/send")]
async fn send_with_other_parameters(one: u8, two: u8) {
    assert_ne!(one, two);
}

#[deferred(name = "shop/give_up")]
async fn give_up(order: u64) -> Result<(), PermanentTaskFailure> {
    Err(PermanentTaskFailure::new(format!("order {order}")))
}

#[tokio::test]
async fn tasks_of_other_parameters_are_never_decoded_as_these() {
    let tasks = Client::open("memory:").await.unwrap();
    // Decoded as a text, these bytes would be "A".
    send_with_other_parameters::defer(1, b'A').on(&tasks).await.unwrap();
    assert_not_deferred!(tasks, send);
    let found = matching::<send>(&tasks, |_| true).to_string();
    let why = "(other parameters: parameter `one` is not known here";
    assert!(found.contains(why) && !found.contains("SendArgs"), "{found}");
    send::defer("A").on(&tasks).await.unwrap();
    assert_deferred!(tasks, send, |args| args.text == "A");
    assert_eq!(matching::<send>(&tasks, |_| true).matching, 1);
}

#[tokio::test]
async fn tasks_under_an_alias_are_found() {
    let tasks = Client::open("memory:").await.unwrap();
    send_before_it_was_renamed::defer("A").on(&tasks).await.unwrap();
    assert_deferred!(tasks, send, |args| args.text == "A");
    assert_not_deferred!(tasks, send, |args| args.text == "B");
}

#[tokio::test]
async fn dead_letters_are_counted_apart() {
    let tasks = Client::open("memory:").await.unwrap();
    let none = matching::<give_up>(&tasks, |_| true).to_string();
    assert_eq!(none, "no tasks of `shop/give_up` wait or run");
    tasks.run(give_up::defer(1)).await.unwrap_err();
    assert_not_deferred!(tasks, give_up);
    give_up::defer(2).on(&tasks).await.unwrap();
    let found = matching::<give_up>(&tasks, |_| true).to_string();
    let expected =
        "these tasks of `shop/give_up` wait or run (dead letters: 1)\n  GiveUpArgs { order: 2 }";
    assert_eq!(found, expected);
}

#[test]
fn debug_of_a_defer_tells_only_the_length_of_its_payload() {
    let text = format!("{:?}", send::defer("s3cret"));
    assert!(text.contains("payload: Ok(7 bytes)"), "{text}");
    assert!(!text.contains("s3cret") && !text.contains("115, 51"), "{text}");
}
