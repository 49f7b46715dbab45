//! Args that would not read back as themselves are refused when they are deferred, with the place
//! and the remedy, and never a value.

use std::collections::BTreeMap;
use std::error::Error as _;

use gae_tasks::{Client, Defer, Error, Json, deferred};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Letter {
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
    lines: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Renamed {
    #[serde(rename(serialize = "cents"))]
    amount: u64,
}

/// Forgets its elements when it is read.
#[derive(Default)]
struct Forgetful(Vec<String>);

impl Serialize for Forgetful {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Forgetful {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer).map(|_| Self::default())
    }
}

/// A text that its own `Deserialize` refuses.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String")]
struct Picky(String);

impl TryFrom<String> for Picky {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Err(format!("{text} is not allowed"))
    }
}

#[deferred]
async fn send(first: u64, letters: Vec<Letter>) {
    _ = (first, letters.len());
}

#[deferred]
async fn pay(renamed: Renamed) {
    _ = renamed.amount;
}

#[deferred]
async fn forget(first: u64, words: Forgetful, last: u64) {
    _ = (first, words.0, last);
}

#[deferred]
async fn judge(text: Picky) {
    _ = text.0;
}

#[deferred]
async fn measure(_name: String, values: Json<Vec<(f64, Option<f32>)>>) {
    _ = values.0;
}

#[deferred]
async fn count(by: Json<BTreeMap<(u8, u8), u32>>) {
    _ = by.0;
}

#[deferred]
async fn change(to: Json<Option<Option<u8>>>) {
    _ = to.0;
}

#[deferred]
async fn import(letter: Json<Letter>) {
    _ = (letter.0.to, letter.0.copy, letter.0.lines);
}

/// The reason why a call is refused; no task is stored.
async fn refusal(call: Defer) -> String {
    let tasks = Client::open("memory:").await.unwrap();
    let error = call.on(&tasks).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
    let source = error.source().expect("the parameter").to_string();
    assert!(!format!("{error} {error:?} {source}").contains("SECRET"), "{error:?}");
    source
}

fn letter(copy: Option<&str>) -> Letter {
    let text = str::to_owned;
    Letter { to: text("SECRET"), copy: copy.map(text), lines: vec![text("SECRET")] }
}

#[tokio::test]
async fn a_field_that_is_left_out() {
    let said = refusal(send::defer(1, vec![letter(Some("SECRET")), letter(None)])).await;
    let place = "parameter `letters` (`Vec<Letter>`) cannot be stored: `letters[].copy` is left \
                 out when it is written (`skip_serializing_if`)";
    assert!(said.starts_with(place), "{said}");
    for remedy in ["`#[serde(default)]` does not help here", "Store every field always: remove"] {
        assert!(said.contains(remedy), "{said}");
    }
    assert!(said.ends_with("in `gae_tasks::Json<T>` (feature `json`)"), "{said}");
}

#[tokio::test]
async fn a_value_that_takes_no_such_branch_is_deferred_and_json_takes_each() {
    let tasks = Client::open("memory:").await.unwrap();
    send::defer(1, vec![letter(Some("to us"))]).on(&tasks).await.unwrap();
    import::defer(Json(letter(Some("to us")))).on(&tasks).await.unwrap();
    import::defer(Json(letter(None))).on(&tasks).await.unwrap();
    assert_eq!(tasks.stats().await.unwrap().open(), 3);
}

#[tokio::test]
async fn a_name_that_only_one_half_has() {
    let said = refusal(pay::defer(Renamed { amount: 5 })).await;
    let place = "parameter `renamed` (`Renamed`) cannot be stored: `renamed.amount` is written \
                 under the name `cents`";
    assert!(said.starts_with(place), "{said}");
}

#[tokio::test]
async fn a_value_that_reads_back_as_another() {
    let said = refusal(forget::defer(1, Forgetful(vec!["SECRET".into()]), 2)).await;
    let begin = "parameter `words` (`Forgetful`) cannot be stored: it reads back as another value";
    assert!(said.starts_with(begin), "{said}");
    let tasks = Client::open("memory:").await.unwrap();
    forget::defer(1, Forgetful::default(), 2).on(&tasks).await.unwrap();
}

#[tokio::test]
async fn a_value_that_its_own_type_refuses() {
    let said = refusal(judge::defer(Picky("SECRET".into()))).await;
    let begin = "parameter `text` (`Picky`) cannot be read back: its own `Deserialize` refuses";
    assert!(said.starts_with(begin), "{said}");
}

#[tokio::test]
async fn numbers_and_keys_that_json_does_not_have() {
    for values in [vec![(1.5, None), (f64::NAN, None)], vec![(1.5, Some(f32::INFINITY))]] {
        let said = refusal(measure::defer("SECRET", Json(values))).await;
        let begin = "parameter `values` (`Json<Vec<(f64, Option<f32>)>>`) cannot be stored: \
                     `values` holds a number that is NaN or infinite, which JSON writes as null";
        assert!(said.starts_with(begin), "{said}");
    }
    let said = refusal(count::defer(Json(BTreeMap::from([((1, 2), 3)])))).await;
    assert!(said.contains("`by` holds a map whose keys are neither texts nor numbers"), "{said}");
    let tasks = Client::open("memory:").await.unwrap();
    measure::defer("a", Json(vec![(1.5, None)])).on(&tasks).await.unwrap();
}

/// JSON has one null, so the inner `None` would be read back as the outer one.
#[tokio::test]
async fn an_option_that_json_cannot_tell_from_none() {
    let said = refusal(change::defer(Json(Some(None)))).await;
    let begin = "parameter `to` (`Json<Option<Option<u8>>>`) cannot be stored: `to` holds `Some` \
                 of a value that JSON writes as null";
    assert!(said.starts_with(begin), "{said}");
    let tasks = Client::open("memory:").await.unwrap();
    for to in [None, Some(Some(7))] {
        change::defer(Json(to)).on(&tasks).await.unwrap();
    }
}
