//! Payload, schema and sensitive paths of a task count together in its size.

use std::sync::LazyLock;

use gae_tasks::{Defer, Error, Task};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::*;

/// A struct of so many fields, with such long names, that its schema has more than 16 KiB.
struct Wide;

static NAMES: LazyLock<Vec<&str>> =
    LazyLock::new(|| (0..300).map(|i| &*format!("{i:03}{}", "x".repeat(60)).leak()).collect());

impl Serialize for Wide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Wide", NAMES.len())?;
        for name in NAMES.iter() {
            fields.serialize_field(name, &0u8)?;
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Wide;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a wide struct")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Wide, A::Error> {
                while seq.next_element::<u8>()?.is_some() {}
                Ok(Wide)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wide, A::Error> {
                while map.next_entry::<String, u8>()?.is_some() {}
                Ok(Wide)
            }
        }
        deserializer.deserialize_struct("Wide", &NAMES, Fields)
    }
}

#[deferred(name = "shop/wide", queue = "emails")]
async fn wide(all: Wide, text: String) {
    _ = (all, text);
}

#[deferred(name = "shop/pay", queue = "emails", sensitive = ["card.number", "card.holder"])]
async fn pay(card: (u8, String)) {
    _ = card;
}

/// The bytes of a text's length.
fn length(text: usize) -> usize {
    match text {
        0..128 => 1,
        128..16_384 => 2,
        _ => 3,
    }
}

/// The bytes that schema and sensitive paths take in each task.
fn beside<T: Task>(paths: &[&str]) -> usize {
    let schema = T::registration().schema().unwrap().as_bytes().len();
    let paths = paths.iter().map(|path| 1 + path.len()).sum::<usize>();
    length(schema) + schema + 1 + paths
}

async fn deferred(server: &Server, most: usize, defer: Defer) -> Result<(), Error> {
    defer.on(&client_of(builder(server).max_payload(most)).await).await.map(drop)
}

/// The bytes beside the payload, the kind, and the call with a payload of so many bytes.
type Case<'a> = (usize, &'static str, &'a dyn Fn(usize) -> Defer);

fn of(call: impl Fn(String) -> Defer, payload: usize, others: usize) -> Defer {
    let text = payload - others;
    call("x".repeat(text - length(text)))
}

#[tokio::test]
async fn payload_schema_and_sensitive_paths_share_the_limit() {
    let server = server().await;
    let paths = beside::<pay>(&["card.holder", "card.number"]);
    assert!(paths > beside::<pay>(&[]) + 20);
    let cases: [Case<'_>; 3] = [
        (beside::<greet>(&[]), "shop/greet", &|payload| of(greet::defer, payload, 0)),
        (paths, "shop/pay", &|payload| of(|text| pay::defer((0, text)), payload, 1)),
        (beside::<wide>(&[]), "shop/wide", &|payload| {
            of(|text| wide::defer(Wide, text), payload, NAMES.len())
        }),
    ];
    for (beside, kind, call) in cases {
        let most = 40_000;
        deferred(&server, most, call(most - beside)).await.unwrap();
        let error = deferred(&server, most, call(most - beside + 1)).await.unwrap_err();
        let expected = format!(
            "the payload of `{kind}` has 40001 bytes, {beside} of them its schema and sensitive \
             paths, the limit is 40000: give the client a payload store"
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    assert_eq!(server.tasks(PLACE, "emails").len(), 3);
}

#[tokio::test]
async fn the_largest_payload_fits_into_googles_limit_beside_a_large_schema() {
    let server = server().await;
    let most = 1_032_185;
    let beside = beside::<wide>(&[]);
    assert!(beside > 16 * 1024, "{beside}");
    let call = |payload| of(|text| wide::defer(Wide, text), payload, NAMES.len());
    deferred(&server, most, call(most - beside)).await.unwrap();
    let error = deferred(&server, most, call(most - beside + 1)).await.unwrap_err();
    assert!(matches!(error, Error::PayloadTooLarge { size: 1_032_186, .. }), "{error}");
    assert_eq!(server.calls("CreateTask"), 1);
}

#[tokio::test]
async fn a_schema_above_the_limit_is_refused_with_its_size_and_the_fix() {
    let server = server().await;
    let beside = beside::<wide>(&[]);
    let tasks = async |most| {
        let backend = builder(&server).max_payload(most).build().await.unwrap();
        Client::builder().payload_store("memory:").inline_payload(0).build_push(backend).unwrap()
    };
    let error = wide::defer(Wide, "x").on(&tasks(beside - 1).await).await.unwrap_err();
    let Error::SchemaTooLarge { size, limit, .. } = error else { panic!("{error}") };
    assert_eq!((size, limit), (beside, beside - 1), "{error}");
    let text = error.to_string();
    for part in
        ["`shop/wide`", &format!("{beside} bytes"), "`cloudtasks`", "`max_payload`", "`Json<T>`"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(server.calls("CreateTask"), 0);
    // The payload is in the store, so the schema may take all.
    wide::defer(Wide, "x").on(&tasks(beside).await).await.unwrap();
    assert_eq!(server.tasks(PLACE, "emails").len(), 1);
}

#[tokio::test]
async fn a_payload_that_fits_without_its_schema_only_goes_to_the_payload_store() {
    let server = server().await;
    let (beside, most) = (beside::<greet>(&[]), 1000);
    let backend = builder(&server).max_payload(most).build().await.unwrap();
    let tasks = Client::builder().payload_store("memory:").build_push(backend).unwrap();
    let mut spilled = Vec::new();
    for payload in [most - beside, most - beside + 1] {
        let id = of(greet::defer, payload, 0).on(&tasks).await.unwrap().id;
        let record =
            tasks.list(gae_tasks::TaskFilter::new(), None, 9).with_payloads().await.unwrap();
        let record = record.into_iter().find(|record| record.spec.id == id).unwrap();
        spilled.push(record.payload.is_none_or(|payload| payload.is_empty()));
    }
    assert_eq!(spilled, [false, true]);
}
