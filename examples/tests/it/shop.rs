//! An order that is declined, corrected and replayed over HTTP.
#![cfg(unix)]

use std::time::Duration;

use crate::served::Served;

const JSON: &str = "application/json";

#[test]
fn an_order_that_is_declined_is_charged_after_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Served::start("shop", folder.path());
    let order = r#"{"order": 2, "customer": "bob", "cents": 990}"#;
    let answer = shop.request("POST /orders", JSON, order);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let id = answer.split('"').nth(1).unwrap().to_owned();

    while !shop.request("GET /admin/dead-letters", JSON, "").contains(&id) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let answer = shop.request("PUT /customers/bob", JSON, r#"{"card": "4242"}"#);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let replay = format!("POST /admin/dead-letters/{id}/replay");
    let answer = shop.request(&replay, JSON, "");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(shop.next_line(), "receipt of order 2 sent to bob\n");

    let answer = shop.request(&replay, JSON, "");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(shop.terminate(), "0 tasks wait for the next start\n");
}
