//! What people are shown of stored tasks: args as JSON, without what is sensitive.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Backend, Enqueue, NewTask, SensitivePaths};
use gae_tasks::testing::{Fault, Faulty, Operation};
use gae_tasks::{
    Client, Error, Kind, Now, QueueName, Registry, Shape, Task, TaskFilter, TaskId, TaskSpec,
    deferred,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Card {
    number: String,
    owner: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Method {
    Cash,
    Cards(Vec<Card>),
}

#[deferred(sensitive = ["method.number"])]
#[allow(unused_variables)]
fn pay(order: u64, method: Method, labels: BTreeMap<u8, f32>, #[sensitive] pin: Option<u16>) {}

#[deferred]
#[allow(unused_variables)]
fn open(secret: String) {}

fn card() -> Card {
    Card { number: "4111".to_owned(), owner: None }
}

fn call() -> gae_tasks::Defer {
    pay::defer(7, Method::Cards(vec![card()]), BTreeMap::from([(1, 0.5)]), Some(1234))
}

const SHOWN: &str = r#"{"order":7,"method":{"Cards":[{"number":"(sensitive)","owner":null}]},"labels":{"1":0.5},"pin":"(sensitive)"}"#;

async fn args(tasks: &Client, id: TaskId) -> Result<String, String> {
    let described = tasks.describe(id).await.unwrap().expect("it is stored");
    assert_eq!(described.task.spec.id, id);
    described.args.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_stored_task_is_described_with_its_args() {
    let tasks = Client::open("memory:").await.unwrap();
    let id = call().on(&tasks).await.unwrap().id;
    assert_eq!(args(&tasks, id).await.as_deref(), Ok(SHOWN));
    let json: serde_json::Value = serde_json::from_str(SHOWN).unwrap();
    assert_eq!(json["method"]["Cards"][0]["owner"], serde_json::Value::Null);
    tasks.delete(id).await.unwrap();
    assert!(tasks.describe(id).await.unwrap().is_none());
}

#[tokio::test]
async fn records_of_a_client_show_their_args() {
    let tasks = Client::open("memory:").await.unwrap();
    let id = call().named("one").on(&tasks).await.unwrap().id;
    let got = tasks.get(id).await.unwrap().unwrap();
    let found = tasks.find("default", "one").await.unwrap().unwrap();
    let listed = tasks.list(TaskFilter::new(), None, 9).with_payloads().await.unwrap().remove(0);
    for record in [got, found, listed] {
        assert_eq!(record.args_json().as_deref(), Ok(SHOWN));
    }
    let without = tasks.list(TaskFilter::new(), None, 9).await.unwrap().remove(0);
    let error = without.args_json().unwrap_err().to_string();
    assert_eq!(
        error,
        "the payload cannot be shown: it was not read: ask `list` for it `.with_payloads()`"
    );
}

#[tokio::test]
async fn nothing_of_the_args_is_in_the_debug_form() {
    let tasks = Client::open("memory:").await.unwrap();
    let id = open::defer("hidden words").on(&tasks).await.unwrap().id;
    let described = tasks.describe(id).await.unwrap().unwrap();
    assert_eq!(described.args.as_deref(), Ok(r#"{"secret":"hidden words"}"#));
    let text = format!("{described:?}");
    assert!(!text.contains("hidden words") && text.contains(&id.to_string()), "{text}");
}

/// A client whose program has no tasks of these kinds.
fn stranger(backend: &Faulty<Memory>) -> Client {
    Client::builder().registry(Registry::new()).build(backend.clone()).unwrap()
}

/// Stores a task of the kind that some other program has, with the schema and the bytes of `open`.
async fn store(backend: &Faulty<Memory>, kind: &str, paths: &[&str]) -> TaskId {
    let registration = open::registration();
    let (shape, schema) = (registration.shape().unwrap(), registration.schema().unwrap());
    let id = new_id();
    let spec = TaskSpec::new(id, Kind::new(kind).unwrap(), shape, QueueName::DEFAULT);
    let mut task = NewTask::new(spec, b"\x03abc".to_vec(), schema.as_bytes());
    task.sensitive = paths.iter().map(|path| Box::from(*path)).collect();
    let answers = backend.enqueue(Enqueue::new(Now::Storage, vec![task])).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    id
}

#[tokio::test]
async fn a_mark_hides_older_tasks_too_and_in_programs_without_the_function() {
    let backend = Faulty::new(Memory::new());
    let tasks = stranger(&backend);
    let old = store(&backend, "elsewhere/task", &[]).await;
    let other = store(&backend, "elsewhere/other", &[]).await;
    assert_eq!(args(&tasks, old).await.as_deref(), Ok(r#"{"secret":"abc"}"#));
    let new = store(&backend, "elsewhere/task", &["secret"]).await;
    for id in [old, new] {
        assert_eq!(args(&tasks, id).await.as_deref(), Ok(r#"{"secret":"(sensitive)"}"#));
    }
    assert_eq!(args(&tasks, other).await.as_deref(), Ok(r#"{"secret":"abc"}"#), "another kind");
}

#[tokio::test]
async fn the_programs_own_marks_hide_tasks_that_were_stored_without() {
    let backend = Faulty::new(Memory::new());
    let registration = pay::registration();
    let (shape, schema) = (registration.shape().unwrap(), registration.schema().unwrap());
    let spec = TaskSpec::new(new_id(), Kind::new(pay::KIND).unwrap(), shape, QueueName::DEFAULT);
    let id = spec.id;
    let payload = postcard_of_cash();
    let task = NewTask::new(spec, payload, schema.as_bytes());
    backend.enqueue(Enqueue::new(Now::Storage, vec![task])).await.unwrap();
    // Even a client without the task: the program has it.
    let expected = r#"{"order":7,"method":"Cash","labels":{},"pin":"(sensitive)"}"#;
    assert_eq!(args(&stranger(&backend), id).await.as_deref(), Ok(expected));
}

/// An order of 7, paid in cash, with a pin of 9.
fn postcard_of_cash() -> Vec<u8> {
    vec![7, 0, 0, 1, 9]
}

#[tokio::test]
async fn what_is_not_known_to_be_harmless_is_not_shown() {
    let backend = Faulty::new(Memory::new());
    let id = store(&backend, "elsewhere/task", &["secret"]).await;
    let mut record = backend.get(id).await.unwrap().unwrap();
    record.schema = Some(open::registration().schema().unwrap().as_bytes().into());
    let error = record.args_json().unwrap_err().to_string();
    assert_eq!(
        error,
        "the payload cannot be shown: what is sensitive in it is not known: read the task by a \
         client"
    );
    let tasks = stranger(&backend.clone().with(Operation::Sensitive, 1, Fault::Fail));
    assert!(matches!(tasks.describe(id).await, Err(Error::Storage { .. })));
    assert!(tasks.describe(id).await.is_ok());
}

#[tokio::test]
async fn a_task_whose_schema_is_not_stored_or_damaged_is_not_shown() {
    let shape = open::registration().shape().unwrap();
    let another = pay::registration().schema().unwrap().as_bytes().to_vec();
    for schema in [b"".to_vec(), b"\xff".to_vec(), another.clone()] {
        let backend = Faulty::new(Memory::new());
        let spec = TaskSpec::new(new_id(), Kind::new("a/b").unwrap(), shape, QueueName::DEFAULT);
        let id = spec.id;
        let task = NewTask::new(spec, b"\x03abc".to_vec(), schema);
        backend.enqueue(Enqueue::new(Now::Storage, vec![task])).await.unwrap();
        let error = args(&stranger(&backend), id).await.unwrap_err();
        assert!(error.contains("the schema that it was written under is not stored"), "{error}");
        // One that travels with its task may be any.
        let mut record = backend.get(id).await.unwrap().unwrap();
        record.sensitive = Some(SensitivePaths::default());
        for (schema, expected) in
            [(b"\xff".to_vec(), "this is not a schema"), (another.clone(), "has another shape")]
        {
            record.schema = Some(schema.into());
            let error = record.args_json().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        record.spec.shape = Shape::from_bits(2 << 56);
        let error = record.args_json().unwrap_err().to_string();
        assert!(error.contains("a newer version of gae-tasks"), "{error}");
    }
}

#[tokio::test]
async fn schemas_are_read_once() {
    let backend = Faulty::new(Memory::new()).with(Operation::Schemas, 2, Fault::Fail);
    let tasks = stranger(&backend);
    for _ in 0..3 {
        let id = store(&backend, "elsewhere/task", &[]).await;
        assert!(args(&tasks, id).await.is_ok());
    }
}

/// An id that no other task of the process has.
fn new_id() -> TaskId {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    TaskId::from_bytes([NEXT.fetch_add(1, Ordering::Relaxed); 16])
}
