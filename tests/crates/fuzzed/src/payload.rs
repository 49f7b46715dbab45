//! Fuzzes the decoder of payloads: the first byte chooses the parameters, the others are the
//! payload.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Backend, Enqueue, NewTask};
use gae_tasks::testing::matching;
use gae_tasks::{Client, Defer, Json, Kind, Now, QueueName, Task, TaskId, TaskSpec, deferred};
use pollster::block_on;
use serde::{Deserialize, Serialize};

#[deferred]
fn nothing() {}

#[deferred]
fn numbers(_: u8, _: i16, _: u32, _: i64, _: u128, _: i128, _: usize) {}

#[deferred]
fn scalars(_: bool, _: char, _: f32, _: f64, _: (), _: [u8; 4], _: NonZeroU16) {}

#[deferred]
fn texts(_: String, _: Option<String>, _: Box<str>, _: PathBuf) {}

#[deferred]
fn lists(_: Vec<u8>, _: Vec<Vec<u32>>, _: Vec<(bool, Option<i8>)>) {}

#[deferred]
fn maps(_: BTreeMap<String, i64>, _: HashMap<u8, Vec<String>>, _: BTreeSet<u16>, _: HashSet<char>) {
}

/// A value of each form that serde has.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Choice {
    None,
    One(Option<Box<str>>),
    Two(u64, i8),
    Named { id: u32, tags: Vec<Choice> },
}

#[deferred]
fn choices(_: Choice, _: Result<u8, String>) {}

#[deferred]
fn of_the_standard_library(
    _: Duration,
    _: SystemTime,
    _: IpAddr,
    _: SocketAddr,
    _: std::ops::Range<u8>,
) {
}

#[deferred]
fn json(_: Json<serde_json::Value>, _: Json<Vec<f64>>) {}

/// The lists of parameters that the first byte chooses from.
const PARAMETERS: &[fn(&[u8])] = &[
    shrinks::<nothing>,
    shrinks::<numbers>,
    shrinks::<scalars>,
    shrinks::<texts>,
    shrinks::<lists>,
    shrinks::<maps>,
    shrinks::<choices>,
    // Excess nanoseconds are carried over to the seconds, and JSON can write a number in a longer
    // form.
    reads::<of_the_standard_library>,
    reads::<json>,
];

pub(super) fn check(bytes: &[u8]) {
    if let Some((choice, payload)) = bytes.split_first() {
        PARAMETERS[usize::from(*choice) % PARAMETERS.len()](payload);
    }
}

/// Checks that args that can be read can be deferred, in no more bytes.
fn shrinks<T: Task>(payload: &[u8]) {
    if let Some(stored) = deferred_again::<T>(payload) {
        assert!(stored.len() <= payload.len(), "{payload:?} became {stored:?}");
    }
}

/// Checks that args that can be read can be deferred.
fn reads<T: Task>(payload: &[u8]) {
    deferred_again::<T>(payload);
}

/// Returns the payload of a task deferred with the args read from `payload`, if `payload` can be
/// read.
///
/// A second round returns the same length, as `defer` promises.
fn deferred_again<T: Task>(payload: &[u8]) -> Option<Vec<u8>> {
    let stored = payload_of(read::<T>(payload)?);
    let again = payload_of(read::<T>(&stored).expect("a deferred payload can be read"));
    assert_eq!(again.len(), stored.len(), "{stored:?} became {again:?}");
    Some(stored)
}

/// Returns a call with the args in these bytes, read as by a worker.
fn read<T: Task>(payload: &[u8]) -> Option<Defer> {
    let backend = Memory::new();
    let enqueue = Enqueue::new(Now::Storage, vec![task::<T>(payload)]);
    assert!(
        block_on(backend.enqueue(enqueue)).is_ok_and(|answers| answers.iter().all(Result::is_ok))
    );
    let client = Client::builder().build(backend).expect("a client");
    let args = RefCell::new(None);
    let found = matching::<T>(&client, |read| {
        *args.borrow_mut() = Some(Defer::new(read));
        true
    });
    let args = args.into_inner();
    assert_eq!(found.matching, usize::from(args.is_some()));
    args
}

fn payload_of(task: Defer) -> Vec<u8> {
    let client = block_on(Client::open("memory:")).expect("a client");
    let id = task.on(&client).wait().expect("args that were read can be deferred").id;
    let stored = block_on(client.get(id)).ok().flatten().expect("the task is stored");
    stored.payload.expect("`get` reads the payload")
}

fn task<T: Task>(payload: &[u8]) -> NewTask {
    NewTask::new(
        TaskSpec::new(
            TaskId::from_bytes([1; 16]),
            Kind::new(T::KIND).expect("a kind"),
            T::registration().shape().expect("a schema"),
            QueueName::DEFAULT,
        ),
        payload.to_vec(),
        T::registration().schema().expect("a schema").as_bytes(),
    )
}
