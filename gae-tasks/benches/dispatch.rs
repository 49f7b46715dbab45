//! The cost of one task in process, without storage: from the call of `defer` to the handler's
//! outcome, in parts.
//!
//! ```text
//! cargo bench -p gae-tasks --bench dispatch --features testing [-- PART]
//! ```

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gae_tasks::__private::{
    self as door, Call, CallError, Location, Parameter, REGISTRATIONS, Readings, Registration,
    Traced, TypeBackoff, Work, linkme,
};
use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Backend, Enqueue, Lease, LeasedTask, NewTask, Pull, Room, Routes};
use gae_tasks::{Client, Kind, Now, QueueName, Registry, Task, TaskId, TaskSpec, deferred};

const TO: &str = "someone@mail.example.org";
const SUBJECT: &str = "a subject that is forty characters long!";

#[deferred(queue = "emails")]
async fn send(user_id: u64, to: String, subject: String) {
    black_box((user_id, to, subject));
}

/// Registers a task for each of a hundred names joined with this one.
macro_rules! neighbours {
    ($($prefix:literal)*) => { $(neighbours!(@ten $prefix 0 1 2 3 4 5 6 7 8 9);)* };
    (@ten $prefix:literal $($digit:literal)*) => {
        $(neighbours!(@ten_more $prefix $digit 0 1 2 3 4 5 6 7 8 9);)*
    };
    (@ten_more $prefix:literal $tens:literal $($digit:literal)*) => {
        $(const _: () = {
            #[linkme::distributed_slice(REGISTRATIONS)]
            #[linkme(crate = linkme)]
            static NEIGHBOUR: Registration =
                neighbour(concat!(module_path!(), "/", $prefix, $tens, $digit));
        };)*
    };
}

neighbours!("send_welcome_" "send_report_" "resize_image_" "import_file_" "charge_card_"
    "close_account_" "ship_order_" "index_page_" "warm_cache_" "expire_session_");

/// A task that is registered but never deferred.
const fn neighbour(kind: &'static str) -> Registration {
    const fn refuse(_: &Call<'_>) -> Result<Work, CallError> {
        Err(CallError::MissingState("this task is never deferred"))
    }
    Registration {
        kind,
        aliases: &[],
        traced: Traced::new(|tracer| tracer.parameter::<u64>("number")),
        parameters: const { &[Parameter::new("number")] },
        ignores: &[],
        sensitive: &[],
        upgrades: &[],
        readings: Readings::new(),
        queues: &["default"],
        deadline: None,
        max_attempts: None,
        backoff: TypeBackoff::NONE,
        priority: 0,
        unique_by: None,
        defaults: &[],
        cron: None,
        states: &[],
        location: Location { file: file!(), line: line!(), column: 1 },
        module: "shop",
        package: "shop",
        is_test: true,
        run: refuse,
        trial: door::trial::<SendArgs>(),
    }
}

fn dispatch(criterion: &mut Criterion) {
    let client = now(Client::open("memory:")).unwrap();
    let registry: &Registry = client.registry();
    let shape = send::registration().shape().unwrap();
    assert_eq!(registry.kinds().count(), 1_001);
    let args =
        || SendArgs { user_id: black_box(42), to: TO.to_owned(), subject: SUBJECT.to_owned() };
    let payload = door::encode(&args()).unwrap();
    println!(
        "a payload of {} bytes, a registry of {} tasks",
        payload.len(),
        registry.kinds().count()
    );
    let leased = lease(payload.clone());

    criterion.bench_function("args", |b| b.iter(args));
    let whole = args();
    criterion.bench_function("encode", |b| b.iter(|| door::encode(black_box(&whole)).unwrap()));
    criterion.bench_function("decode", |b| {
        b.iter(|| door::decode::<SendArgs>(black_box(&payload)).unwrap())
    });
    // Builds the args, encodes them, and checks that they can be read back.
    criterion.bench_function("defer", |b| b.iter(|| send::defer(black_box(42), TO, SUBJECT)));
    criterion.bench_function("look up", |b| {
        b.iter(|| assert!(registry.runs(black_box(send::KIND), shape)))
    });
    // From the stored bytes to the outcome, as in a worker: with the look-up, the context and the
    // decoding.
    criterion.bench_function("attempt", |b| {
        b.iter(|| now(client.attempt_leased(black_box(&leased))).unwrap())
    });
    criterion.bench_function("whole", |b| {
        b.iter(|| {
            let task = send::defer(black_box(42), TO, SUBJECT);
            (task, now(client.attempt_leased(black_box(&leased))).unwrap())
        });
    });
    // Without a look-up, but with an id, whose random bytes come from the kernel, and with checks
    // of every option.
    criterion.bench_function("perform", |b| {
        b.iter(|| now(client.perform(send::defer(black_box(42), TO, SUBJECT))).unwrap());
    });
}

/// Returns a task as leased by a worker.
fn lease(payload: Vec<u8>) -> LeasedTask {
    let (kind, shape) = (Kind::new(send::KIND).unwrap(), send::registration().shape().unwrap());
    let queue = QueueName::new(send::QUEUE).unwrap();
    let task = NewTask::new(
        TaskSpec::new(TaskId::from_bytes([1; 16]), kind.clone(), shape, queue.clone()),
        payload,
        [],
    );
    let lease = Duration::from_secs(30);
    let request =
        Lease::new(Now::Storage, Arc::new([queue].into()), Routes::Any, Room::new(1), lease);
    let backend = Memory::new();
    now(backend.enqueue(Enqueue::new(Now::Storage, vec![task]))).unwrap();
    now(backend.lease(request)).unwrap().tasks.pop().unwrap()
}

/// Returns the output of a future that is ready at once, without the cost of a runtime.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the future does not wait"),
    }
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
