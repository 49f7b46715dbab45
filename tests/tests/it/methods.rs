//! Methods that are tasks: how they are called, what is sent of them, and how they run.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gae_tasks::testing::{assert_deferred, assert_not_deferred, matching};
use gae_tasks::{Client, ClientBuilder, Error, PermanentTaskFailure, Task, TaskContext, deferred};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::Notify;

/// What ran.
#[derive(Clone, Default)]
struct Ran(Arc<Mutex<Vec<String>>>, Arc<Notify>);

impl Ran {
    fn note(&self, call: String) {
        self.0.lock().unwrap().push(call);
        self.1.notify_one();
    }

    /// Returns what ran, in the order of the alphabet.
    fn sorted(&self) -> Vec<String> {
        let mut ran = self.0.lock().unwrap().clone();
        ran.sort_unstable();
        ran
    }

    async fn until(&self, count: usize) {
        let enough = async {
            while self.0.lock().unwrap().len() < count {
                self.1.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), enough).await.expect("they do not run");
    }
}

/// It is not `Clone`, so what defers it cannot clone it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[deferred(queue = "mail")]
    async fn send(
        &self,
        to: String,
        #[state] ran: &Ran,
        #[context] cx: &TaskContext,
    ) -> Result<(), PermanentTaskFailure> {
        if self.number == 0 {
            return Err(PermanentTaskFailure::new("there is no invoice 0"));
        }
        ran.note(format!("send {} to {to}, attempt {}", self.number, cx.attempt()));
        Ok(())
    }

    #[deferred(queue = "mail")]
    fn archive(mut self, #[state] ran: Ran) {
        self.number += 1;
        ran.note(format!("archive {}", self.number));
    }

    #[deferred]
    fn print(&self, copies: Option<u8>, #[state] ran: &Ran) {
        ran.note(format!("print {} {copies:?}", self.number));
    }

    #[deferred]
    async fn create(number: u64, like: Self, #[state] ran: &Ran) -> Result<Self, String> {
        ran.note(format!("create {number} like {}", like.number));
        Ok(Self { number })
    }
}

/// A service whose methods are tasks: it is the client's state and is not sent.
struct Printer(Ran);

#[deferred]
impl Printer {
    #[deferred]
    async fn warm_up(#[state] &self, minutes: u8) {
        self.0.note(format!("warm up for {minutes}"));
    }
}

/// Forgets its elements when it is read.
struct Forgetful(Vec<String>);

impl Serialize for Forgetful {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Forgetful {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer).map(|_| Self(Vec::new()))
    }
}

#[deferred]
impl Forgetful {
    #[deferred]
    fn keep(&self, at: u8) {
        _ = (&self.0, at);
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Payment {
    cents: u64,
    card: String,
}

#[deferred]
impl Payment {
    #[deferred(sensitive = "self.card")]
    async fn book(&self, #[sensitive] pin: u16, to: String) {
        _ = (self, pin, to);
    }
}

fn program(ran: &Ran) -> ClientBuilder {
    let builder = Client::builder().registry(crate::tasks_of(module_path!()));
    builder.state(ran.clone()).state(Printer(ran.clone()))
}

/// Returns the URLs of both pull backends of this test, and a value that must live as long.
fn backends() -> Vec<(String, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("tasks.db").display());
    vec![("memory:".to_owned(), None), (file, Some(folder))]
}

async fn defer_all(tasks: &Client) {
    let invoice = Invoice { number: 7 };
    invoice.defer_send("you").on(tasks).await.unwrap();
    invoice.defer_archive().on(tasks).await.unwrap();
    invoice.defer_print(Some(2)).on(tasks).await.unwrap();
    Invoice::defer_create(8, invoice).on(tasks).await.unwrap();
    Printer::defer_warm_up(5).on(tasks).await.unwrap();
}

const ALL: [&str; 5] = [
    "archive 8",
    "create 8 like 7",
    "print 7 Some(2)",
    "send 7 to you, attempt 1",
    "warm up for 5",
];

#[tokio::test]
async fn methods_and_associated_functions_run_in_a_drain() {
    for (url, _folder) in backends() {
        let ran = Ran::default();
        let tasks = program(&ran).open(&url).await.unwrap();
        defer_all(&tasks).await;
        assert_eq!(tasks.drain().await.unwrap(), ALL.len());
        assert_eq!(ran.sorted(), ALL, "{url}");
    }
}

#[tokio::test]
async fn a_worker_runs_them_beside_each_other() {
    for (url, _folder) in backends() {
        let (ran, stop) = (Ran::default(), Arc::new(Notify::new()));
        let tasks = program(&ran).open(&url).await.unwrap();
        let stopped = Arc::clone(&stop);
        let worker = tasks.worker().with_graceful_shutdown(async move { stopped.notified().await });
        let worker = tokio::spawn(worker.into_future());
        defer_all(&tasks).await;
        ran.until(ALL.len()).await;
        stop.notify_one();
        worker.await.unwrap().unwrap();
        assert_eq!(ran.sorted(), ALL, "{url}");
    }
}

#[test]
fn a_kind_has_the_type_and_the_method() {
    let module = module_path!().replace("::", ".");
    assert_eq!(InvoiceSend::KIND, format!("{module}/Invoice.send"));
    assert_eq!(InvoiceCreate::KIND, format!("{module}/Invoice.create"));
    assert_eq!(PrinterWarmUp::KIND, format!("{module}/Printer.warm_up"));
    assert_eq!((InvoiceSend::QUEUE, InvoiceCreate::QUEUE), ("mail", "default"));
}

#[test]
fn the_receiver_is_the_first_parameter_and_is_named_self() {
    let schema = |task: &gae_tasks::__private::Registration| task.schema().unwrap().to_string();
    assert_eq!(schema(InvoiceSend::registration()), "(self: {number: u64}, to: String)");
    assert_eq!(schema(InvoiceArchive::registration()), "(self: {number: u64})");
    assert_eq!(schema(InvoiceCreate::registration()), "(number: u64, like: {number: u64})");
    assert_eq!(schema(PrinterWarmUp::registration()), "(minutes: u8)");
    let [first, _] = InvoiceSend::registration().parameters else { panic!("two parameters") };
    assert_eq!(first.name, "self");
}

#[tokio::test]
async fn a_call_stores_what_its_args_store() {
    let tasks = program(&Ran::default()).open("memory:").await.unwrap();
    let call = Invoice { number: 7 }.defer_send("you").on(&tasks).await.unwrap();
    let args = InvoiceSendArgs { receiver: Invoice { number: 7 }, to: "you".to_owned() };
    let args = args.defer().on(&tasks).await.unwrap();
    let call = tasks.get(call.id).await.unwrap().unwrap();
    let args = tasks.get(args.id).await.unwrap().unwrap();
    assert!(call.payload.as_ref().is_some_and(|payload| !payload.is_empty()));
    assert_eq!((call.payload, call.spec.kind), (args.payload, args.spec.kind));
}

#[tokio::test]
async fn a_receiver_that_reads_back_as_another_value_is_refused() {
    let tasks = program(&Ran::default()).open("memory:").await.unwrap();
    let call = Forgetful(vec!["a".to_owned()]).defer_keep(1).on(&tasks).await;
    let error = call.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    let why = error.source().expect("the parameter").to_string();
    let place = "parameter `self` (`Forgetful`) cannot be stored: it reads back as another value";
    assert!(why.starts_with(place), "{why}");
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
    Forgetful(Vec::new()).defer_keep(1).on(&tasks).await.unwrap();
}

#[tokio::test]
async fn asserts_see_the_receiver() {
    let tasks = program(&Ran::default()).open("memory:").await.unwrap();
    Invoice { number: 7 }.defer_send("you").on(&tasks).await.unwrap();
    assert_deferred!(tasks, InvoiceSend, |args| args.receiver.number == 7 && args.to == "you");
    assert_not_deferred!(tasks, InvoiceSend, |args| args.receiver == Invoice { number: 8 });
    assert_not_deferred!(tasks, InvoicePrint);
    let found = matching::<InvoiceSend>(&tasks, |_| true).to_string();
    let shown = "InvoiceSendArgs { receiver: Invoice { number: 7 }, to: \"you\" }";
    assert!(found.contains(shown), "{found}");
}

#[tokio::test]
async fn a_part_of_the_receiver_can_be_sensitive() {
    let tasks = program(&Ran::default()).open("memory:").await.unwrap();
    let payment = Payment { cents: 5, card: "4111".to_owned() };
    let id = payment.defer_book(1234, "you").on(&tasks).await.unwrap().id;
    let record = tasks.get(id).await.unwrap().unwrap();
    let shown = r#"{"self":{"cents":5,"card":"(sensitive)"},"pin":"(sensitive)","to":"you"}"#;
    assert_eq!(record.args_json().as_deref(), Ok(shown));
    let found = matching::<PaymentBook>(&tasks, |_| true).to_string();
    assert!(found.contains("PaymentBookArgs { receiver: .., pin: .., to: \"you\" }"), "{found}");
}

#[tokio::test]
async fn calls_of_methods_are_calls_like_any_other() {
    let ran = Ran::default();
    let tasks = program(&ran).open("memory:").await.unwrap();
    let invoice = Invoice { number: 7 };
    let calls = [invoice.defer_print(None).named("print-7"), Printer::defer_warm_up(1)];
    assert_eq!(tasks.defer_many(calls).await.unwrap().len(), 2);
    let again = invoice.defer_print(None).named("print-7").on(&tasks).await.unwrap();
    assert!(!again.created);
    assert_eq!(tasks.drain().await.unwrap(), 2);
    assert_eq!(ran.sorted(), ["print 7 None", "warm up for 1"]);
}

#[tokio::test]
async fn the_error_of_a_method_decides() {
    let ran = Ran::default();
    let inline = program(&ran).inline(true).open("memory:").await.unwrap();
    Invoice { number: 7 }.defer_send("you").on(&inline).await.unwrap();
    assert_eq!(ran.sorted(), ["send 7 to you, attempt 1"]);
    let error = Invoice { number: 0 }.defer_send("you").on(&inline).await.unwrap_err();
    let why = error.source().expect("the method's error").to_string();
    assert!(why.contains("there is no invoice 0"), "{why}");

    let tasks = program(&ran).open("memory:").await.unwrap();
    Invoice { number: 0 }.defer_send("you").on(&tasks).await.unwrap();
    assert!(tasks.drain().await.is_err());
    assert_eq!(tasks.stats_of::<InvoiceSend>().await.unwrap().dead, 1);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_method_is_deferred_in_a_transaction_of_the_application() {
    use rusqlite::TransactionBehavior::Immediate;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let ran = Ran::default();
    let tasks = program(&ran).open(&format!("sqlite:{}", file.display())).await.unwrap();
    let mut shop = rusqlite::Connection::open(file).unwrap();
    let invoice = Invoice { number: 7 };
    let tx = shop.transaction_with_behavior(Immediate).unwrap();
    invoice.defer_print(None).on(&tasks).in_tx(&tx).unwrap();
    tx.rollback().unwrap();
    let tx = shop.transaction_with_behavior(Immediate).unwrap();
    Invoice::defer_create(8, invoice).on(&tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 1);
    assert_eq!(ran.sorted(), ["create 8 like 7"]);
}
