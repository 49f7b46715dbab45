//! A mail sent by the web server.
#![cfg(unix)]

use std::time::Duration;

use crate::served::Served;

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn a_mail_that_is_being_sent_when_the_server_is_told_to_end_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let web = Served::start("web", folder.path());
    let answer = web.request("POST /signup", FORM, "name=Ada&email=ada%40example.org");
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    while !web.request("GET /outbox", FORM, "").contains("<strong>1</strong> being sent") {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(web.terminate(), "0 tasks wait for the next start\n");
}
