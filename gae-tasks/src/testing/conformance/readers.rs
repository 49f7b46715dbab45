//! Workers that decide by the stored schemas which tasks they can read.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::stage::{Stage, at, ids, kind, queue, secs};
use crate::backend::{Enqueue, Lease, NewTask, ReaderId, ReadsRoutes, Routes};
use crate::task::{Route, Shape, TaskId};
use crate::time::{Now, Schedule};

/// A program whose only function reads tasks of some shapes, which are numbered.
#[derive(Debug)]
pub(super) struct Program {
    /// The id of the function.
    reader: u64,
    reads: Vec<Shape>,
    /// The routes and schemas that it was asked about.
    asked: Mutex<Vec<(Route, Option<Vec<u8>>)>>,
}

impl Program {
    pub(super) fn new(reader: u64, reads: &[u64]) -> Arc<Self> {
        let reads = reads.iter().map(|number| shape(*number)).collect();
        Arc::new(Self { reader, reads, asked: Mutex::default() })
    }

    /// Returns a request for all due tasks that the program can read.
    pub(super) fn leasing(self: &Arc<Self>, request: Lease) -> Lease {
        Lease { routes: Routes::Read(Arc::clone(self) as _), ..request }
    }

    fn asked(&self) -> Vec<(Route, Option<Vec<u8>>)> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ReadsRoutes for Program {
    fn reader(&self, route: &Route, schema: Option<&[u8]>) -> Option<ReaderId> {
        let asked = (route.clone(), schema.map(<[u8]>::to_vec));
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        self.reads.contains(&route.shape()).then_some(ReaderId::from_bits(self.reader))
    }
}

/// Returns a task of the shape of this number, with its schema.
pub(super) fn of_shape(on: &Stage, number: u64) -> NewTask {
    NewTask { schema: schema(number).into(), ..on.task() }
        .with(|task| task.spec.shape = shape(number))
}

fn schema(number: u64) -> Vec<u8> {
    format!("schema {number}").into_bytes()
}

/// Returns the shape of a number.
pub(super) fn shape(number: u64) -> Shape {
    Shape::of_schema(&schema(number))
}

fn route(number: u64) -> Route {
    Route::new(kind("conformance/plain"), shape(number))
}

/// Leases all due tasks that the program can read.
async fn lease(on: &Stage, seconds: i64, program: &Arc<Program>) -> Vec<TaskId> {
    ids(&on.lease(program.leasing(on.leasing(at(seconds)))).await.tasks)
}

pub(super) async fn a_worker_leases_what_it_can_read(on: Stage) {
    let mut stored = Vec::new();
    for shape in [1, 2, 3] {
        stored.push(on.store(at(0), of_shape(&on, shape)).await);
    }
    assert_eq!(lease(&on, 0, &Program::new(9, &[2, 1])).await, stored[..2]);
    assert_eq!(lease(&on, 0, &Program::new(9, &[])).await, []);
    assert_eq!(lease(&on, 0, &Program::new(9, &[1, 2, 3])).await, stored[2..]);
}

pub(super) async fn a_worker_is_asked_with_the_stored_schema(on: Stage) {
    on.store(at(0), of_shape(&on, 1)).await;
    on.store(at(0), of_shape(&on, 2)).await;
    let unknown = on.task().with(|task| task.spec.shape = shape(3));
    on.store(at(0), NewTask { schema: Arc::default(), ..unknown }).await;
    let program = Program::new(1, &[1, 2]);
    assert_eq!(lease(&on, 0, &program).await.len(), 2);
    let mut asked = program.asked();
    asked.sort();
    asked.dedup();
    let schemas = [(1, Some(schema(1))), (2, Some(schema(2))), (3, None)];
    let mut expected = schemas.map(|(number, schema)| (route(number), schema));
    expected.sort();
    assert_eq!(asked, expected);
}

pub(super) async fn a_worker_is_asked_once_about_a_route(on: Stage) {
    let program = Program::new(1, &[1]);
    for seconds in 0..5 {
        on.store(at(seconds), of_shape(&on, 1)).await;
        on.store(at(seconds), of_shape(&on, 2)).await;
        // A queue of its own, for which the routes are the same.
        let elsewhere = of_shape(&on, 1).with(|task| task.spec.queue = queue("r"));
        on.store(at(seconds), elsewhere).await;
        assert_eq!(lease(&on, seconds, &program).await.len(), 2);
        on.pause("r", true).await;
        on.pause("r", false).await;
    }
    let mut asked: Vec<_> = program.asked().into_iter().map(|(route, _)| route).collect();
    asked.sort();
    let mut expected = [route(1), route(2)];
    expected.sort();
    assert_eq!(asked, expected);
}

pub(super) async fn another_worker_is_asked_anew(on: Stage) {
    let id = on.store(at(0), of_shape(&on, 1)).await;
    let request = on.leasing(at(0));
    for answers in [false, true] {
        let program = Program::new(1, if answers { &[1] } else { &[] });
        let leased = on.lease(program.leasing(request.clone())).await.tasks;
        assert_eq!(ids(&leased), vec![id; usize::from(answers)], "the same queues, another reader");
        assert_eq!(program.asked().len(), 1);
    }
}

/// Reads all routes, and answers when the test allows it.
#[derive(Debug, Default)]
struct Slow {
    is_asked: Mutex<bool>,
    may_answer: Mutex<bool>,
    /// Whether the test did not allow an answer for a long time.
    was_left: Mutex<bool>,
    changed: Condvar,
}

impl Slow {
    fn set(&self, what: &Mutex<bool>) {
        *lock(what) = true;
        self.changed.notify_all();
    }

    /// Waits for a sign; returns whether it came.
    fn wait_for(&self, what: &Mutex<bool>) -> bool {
        let waited = self.changed.wait_timeout_while(lock(what), secs(10), |is_so| !*is_so);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn lock(what: &Mutex<bool>) -> MutexGuard<'_, bool> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReadsRoutes for Slow {
    fn reader(&self, route: &Route, _: Option<&[u8]>) -> Option<ReaderId> {
        self.set(&self.is_asked);
        if !self.wait_for(&self.may_answer) {
            self.set(&self.was_left);
        }
        Some(ReaderId::of_shape(route.shape()))
    }
}

pub(super) async fn a_worker_that_decides_slowly_holds_up_nobody(on: Stage) {
    let id = on.store(at(0), of_shape(&on, 1)).await;
    let (slow, request) = (Arc::<Slow>::default(), on.leasing(at(0)));
    let request = Lease { routes: Routes::Read(Arc::clone(&slow) as _), ..request };
    let others = std::thread::spawn({
        let (slow, backend, task) = (Arc::clone(&slow), Arc::clone(&on.backend), of_shape(&on, 2));
        move || {
            assert!(slow.wait_for(&slow.is_asked), "the worker is asked");
            let request = Enqueue::new(Now::At(at(0)), vec![task]);
            pollster::block_on(backend.enqueue(request)).expect("enqueue answers");
            slow.set(&slow.may_answer);
        }
    });
    let leased = on.lease(request).await.tasks;
    others.join().expect("the task is stored");
    assert!(ids(&leased).contains(&id));
    assert!(!*lock(&slow.was_left), "the task is stored while the worker decides");
}

pub(super) async fn what_no_worker_can_read_holds_up_nobody(on: Stage) {
    let stranded: Vec<_> = (0..500).map(|_| of_shape(&on, 1)).collect();
    on.enqueue(at(0), stranded).await;
    let soon = NewTask { schedule: Schedule::After(secs(5)), ..of_shape(&on, 1) };
    on.store(at(0), soon).await;
    let later = NewTask { schedule: Schedule::After(secs(7)), ..of_shape(&on, 2) };
    let later = on.store(at(0), later).await;
    let program = Program::new(2, &[2]);
    let leased = on.lease(program.leasing(on.leasing(at(0)))).await;
    assert_eq!((leased.tasks.len(), leased.next), (0, Some(secs(7))));
    assert_eq!(lease(&on, 7, &program).await, [later]);
    let due = on.stats(at(7)).await.iter().map(|line| line.stats.due).sum::<u64>();
    assert_eq!(due, 501, "nothing is lost");
}

pub(super) async fn a_schema_that_comes_later_is_shown_to_the_worker(on: Stage) {
    let program = Program::new(1, &[1]);
    // The same worker, which has the same queues in each lease.
    let request = program.leasing(on.leasing(at(0)));
    on.store(at(0), NewTask { schema: Arc::default(), ..of_shape(&on, 1) }).await;
    assert_eq!(on.lease(request.clone()).await.tasks.len(), 1);
    assert_eq!(program.asked(), [(route(1), None)]);
    on.store(at(0), of_shape(&on, 1)).await;
    assert_eq!(on.lease(request.clone()).await.tasks.len(), 1);
    assert_eq!(program.asked(), [(route(1), Some(schema(1)))]);
    on.store(at(0), of_shape(&on, 1)).await;
    assert_eq!(on.lease(request).await.tasks.len(), 1);
    assert_eq!(program.asked(), []);
}
