//! Payloads in folders, in memory and in Google Cloud Storage, through `ObjectPayloads`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::extract::{Path as Place, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gae_tasks::payload_store::{ObjectPayloads, PayloadStore};
use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, ClientBuilder, Error, Registry, deferred};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Ran = Arc<Mutex<Vec<usize>>>;

#[deferred]
async fn takes(text: String, #[state] ran: &Ran) {
    assert!(text.bytes().all(|b| b == b'x'));
    ran.lock().unwrap().push(text.len());
}

fn program(ran: &Ran) -> ClientBuilder {
    Client::builder().registry(Registry::new().with::<takes>()).state(Arc::clone(ran))
}

fn key(id: gae_tasks::TaskId) -> String {
    format!("{id}.gae-tasks")
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Checks the promises of every store.
async fn keeps_the_contract(store: &dyn PayloadStore) {
    assert_eq!(store.get("a").await.unwrap(), None);
    store.delete("a").await.unwrap();
    let large = vec![7; 3 << 20];
    store.put("a", large.clone()).await.unwrap();
    store.put("b", Vec::new()).await.unwrap();
    store.put("b", vec![1]).await.unwrap();
    assert_eq!(
        (store.get("a").await.unwrap(), store.get("b").await.unwrap()),
        (Some(large.clone()), Some(vec![1]))
    );
    let (earlier, later) = (SystemTime::now() - DAY, SystemTime::now() + DAY);
    assert_eq!(store.put_before(earlier.into()).await.unwrap(), Vec::<String>::new());
    for (limit, expected) in [(0, vec![1]), (1, vec![1]), (9, vec![1])] {
        assert_eq!(store.get_at_most("b", limit).await.unwrap(), Some(expected));
    }
    assert_eq!(
        store.get_at_most("a", 99).await.unwrap(),
        Some(vec![7; 100]),
        "one byte more than the limit shows that the payload is longer"
    );
    assert_eq!(store.get_at_most("a", u64::MAX).await.unwrap(), Some(large));
    assert_eq!(store.get_at_most("c", 9).await.unwrap(), None);
    let mut keys = store.put_before(later.into()).await.unwrap();
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
    store.delete("a").await.unwrap();
    assert_eq!(
        (store.get("a").await.unwrap(), store.put_before(later.into()).await.unwrap()),
        (None, vec!["b".to_owned()])
    );
}

#[tokio::test]
async fn memory_and_folders_keep_the_contract() {
    keeps_the_contract(&ObjectPayloads::open("memory:").unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/not/yet there", folder.path().display());
    let store = ObjectPayloads::open(&url).unwrap();
    keeps_the_contract(&store).await;
    assert_eq!(
        (names(&folder.path().join("not/yet there")), store.name()),
        (vec!["b".to_owned()], url)
    );
}

#[tokio::test]
async fn a_prefix_parts_the_payloads_of_programs() {
    let shared = Arc::new(InMemory::new());
    let store = ObjectPayloads::new(shared.clone()).prefix("shop/tasks");
    for beside in ["shop/tasks/deeper/c", "shop/notes", "shop/tasks-of-others"] {
        shared.put(&ObjectPath::from(beside), "x".into()).await.unwrap();
    }
    keeps_the_contract(&store).await;
    assert!(shared.head(&ObjectPath::from("shop/tasks/b")).await.is_ok());
    let other = ObjectPayloads::new(shared).prefix("bakery");
    keeps_the_contract(&other).await;
    assert_ne!(store.name(), other.name());
}

#[tokio::test]
async fn two_programs_meet_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, payloads) = (folder.path().join("tasks.db"), folder.path().join("payloads"));
    let (queue, url) =
        (format!("sqlite:{}", queue.display()), format!("file://{}", payloads.display()));
    let ran = Ran::default();
    let client = || program(&ran).payload_store(url.as_str()).open(&queue);
    let (defers, works) = (client().await.unwrap(), client().await.unwrap());
    let id = takes::defer(text(5_000_000)).on(&defers).await.unwrap().id;
    assert_eq!(names(&payloads), [key(id)]);
    assert_eq!(works.drain().await.unwrap(), 1);
    assert_eq!(ran.lock().unwrap().clone(), [5_000_000]);
    while !names(&payloads).is_empty() {
        // Next to the marker of the finished task.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // A caller without a runtime can use the store too.
    let other = defers.clone();
    std::thread::spawn(move || takes::defer(text(200_000)).on(&other).wait().unwrap())
        .join()
        .unwrap();
    assert_eq!(works.drain().await.unwrap(), 1);
}

#[tokio::test]
async fn what_was_cut_off_in_a_folder_is_never_run_and_orphans_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let clock = ManualClock::at(SystemTime::now().into());
    let builder = program(&Ran::default()).clock(clock.clone()).payload_store(url);
    let tasks = builder.open("memory:").await.unwrap();
    let id = takes::defer(text(200_000)).max_attempts(1).on(&tasks).await.unwrap().id;
    let file = std::fs::OpenOptions::new().write(true).open(folder.path().join(key(id))).unwrap();
    file.set_len(100_000).unwrap();
    assert!(tasks.drain().await.is_err());
    let record = tasks.get(id).await.unwrap().unwrap();
    assert!(
        record.errors[0].message.contains("truncated or changed"),
        "{}",
        record.errors[0].message
    );
    // The payload of a task that was never stored: an id without a task.
    let orphan = key(id).replace(|c: char| c.is_ascii_digit(), "1");
    std::fs::write(folder.path().join(orphan), "x").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    clock.advance(DAY * 2);
    assert_eq!(tasks.sweep_payloads(DAY).await.unwrap(), 1);
    assert_eq!(names(folder.path()).len(), 2);
    assert!(tasks.delete(id).await.unwrap());
    assert_eq!(names(folder.path()), ["notes.txt"]);
}

#[tokio::test]
async fn any_object_store_can_be_given() {
    let (store, ran) = (Arc::new(InMemory::new()), Ran::default());
    let given: Arc<dyn ObjectStore> = store.clone();
    let tasks = program(&ran).payload_store(given).open("memory:").await.unwrap();
    let id = takes::defer(text(2_000_000)).on(&tasks).await.unwrap().id;
    let path = ObjectPath::from(key(id));
    assert!(store.head(&path).await.is_ok());
    assert_eq!((tasks.drain().await.unwrap(), ran.lock().unwrap().clone()), (1, vec![2_000_000]));
    assert!(store.head(&path).await.is_err());
}

#[tokio::test]
async fn two_stores_in_memory_are_told_apart() {
    let (one, other) =
        (ObjectPayloads::open("memory:").unwrap(), ObjectPayloads::open("memory:").unwrap());
    assert_ne!(one.name(), other.name());
}

#[tokio::test]
async fn urls_that_name_no_store_are_refused_when_the_client_is_made() {
    for (url, expected) in [
        ("", "has no scheme"),
        ("/var/payloads", "has no scheme"),
        ("s3://bucket", "unknown scheme"),
        ("memory:x", "names a place"),
        ("file:payloads", "absolute path"),
        ("file://", "absolute path"),
        ("gs://", "does not name a bucket"),
        ("gs:bucket", "does not name a bucket"),
    ] {
        let error = Client::builder().payload_store(url).open("memory:").await.unwrap_err();
        assert!(matches!(error, Error::PayloadStoreUrl { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("file:///FOLDER"), "{url}: {text}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let url = format!("file://{}", file.path().display());
    let error = Client::builder().payload_store(url.as_str()).open("memory:").await.unwrap_err();
    assert!(
        matches!(error, Error::PayloadStore { .. }) && error.to_string().contains(&url),
        "{error}"
    );
}

/// The objects of a bucket by their names, behind the used part of Google's XML API.
type Bucket = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

const MODIFIED: [(&str, &str); 2] =
    [("etag", "\"e\""), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")];

async fn read(State(bucket): State<Bucket>, Place(name): Place<String>) -> Response {
    match bucket.lock().unwrap().get(&name) {
        Some(object) => (MODIFIED, object.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn write(
    State(bucket): State<Bucket>,
    Place(name): Place<String>,
    body: axum::body::Bytes,
) -> Response {
    bucket.lock().unwrap().insert(name, body.to_vec());
    MODIFIED.into_response()
}

async fn remove(State(bucket): State<Bucket>, Place(name): Place<String>) -> StatusCode {
    let removed = bucket.lock().unwrap().remove(&name);
    removed.map_or(StatusCode::NOT_FOUND, |_| StatusCode::NO_CONTENT)
}

async fn list(
    State(bucket): State<Bucket>,
    Query(query): Query<BTreeMap<String, String>>,
    _: HeaderMap,
) -> String {
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let entry = |(name, object): (&String, &Vec<u8>)| {
        let (size, at) = (object.len(), "2026-01-01T00:00:00.000Z");
        format!(
            "<Contents><Key>{name}</Key><LastModified>{at}</LastModified>\
             <ETag>e</ETag><Size>{size}</Size></Contents>"
        )
    };
    let bucket = bucket.lock().unwrap();
    let contents: String =
        bucket.iter().filter(|(name, _)| name.starts_with(&prefix)).map(entry).collect();
    format!("<?xml version=\"1.0\"?><ListBucketResult>{contents}</ListBucketResult>")
}

/// Starts a server for the bucket `shop` and returns its URL.
async fn serve(bucket: Bucket) -> String {
    let router = axum::Router::new()
        .route("/shop", get(list))
        .route("/shop/", get(list))
        .route("/shop/{*name}", get(read).put(write).delete(remove))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(bucket);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

fn bucket_at(url: &str) -> ObjectPayloads {
    let options = ClientOptions::new().with_allow_http(true);
    let builder = GoogleCloudStorageBuilder::new().with_bucket_name("shop").with_base_url(url);
    // With its own token, because the client would otherwise look for credentials on the machine.
    let store =
        builder.with_bearer_token("of-the-test").with_client_options(options).build().unwrap();
    ObjectPayloads::new(Arc::new(store)).prefix("tasks")
}

#[tokio::test]
async fn buckets_of_google_keep_the_contract_as_they_are_spoken_to() {
    let bucket = Bucket::default();
    let url = serve(bucket.clone()).await;
    let store = bucket_at(&url);
    assert_eq!(store.get("a").await.unwrap(), None);
    store.put("a", vec![7; 3 << 20]).await.unwrap();
    assert_eq!(store.get("a").await.unwrap(), Some(vec![7; 3 << 20]));
    bucket.lock().unwrap().insert("elsewhere/b".to_owned(), vec![1]);
    assert_eq!(store.put_before(SystemTime::now().into()).await.unwrap(), ["a"]);
    store.delete("a").await.unwrap();
    store.delete("a").await.unwrap();
    assert_eq!(bucket.lock().unwrap().keys().cloned().collect::<Vec<_>>(), ["elsewhere/b"]);
}

#[tokio::test]
async fn a_task_goes_by_a_bucket_of_google() {
    let (bucket, ran) = (Bucket::default(), Ran::default());
    let store = bucket_at(&serve(bucket.clone()).await);
    let tasks = program(&ran).payload_store(store).open("memory:").await.unwrap();
    let id = takes::defer(text(2_000_000)).on(&tasks).await.unwrap().id;
    assert_eq!(
        bucket.lock().unwrap().keys().cloned().collect::<Vec<_>>(),
        [format!("tasks/{}", key(id))]
    );
    assert_eq!((tasks.drain().await.unwrap(), ran.lock().unwrap().clone()), (1, vec![2_000_000]));
    while !bucket.lock().unwrap().is_empty() {
        // Next to the marker of the finished task.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
