//! One step of a random life, told without ids and tokens so that it means the same on every backend.

use std::time::Duration;

use gae_tasks::backend::{TaskFilter, TaskState, Verdict};
use gae_tasks::testing::Fault;
use gae_tasks::{Kind, QueueConfig, QueueName, RetryConfig, Schedule, Timestamp};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// What a task of a random life is like.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) queue: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) shape: u64,
    pub(crate) name: Option<&'static str>,
    pub(crate) schedule: Schedule,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) retry: Option<RetryConfig>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) attributes: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

/// How one of the leases given so far ends.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) lease: usize,
    pub(crate) began: Option<Duration>,
    pub(crate) verdict: Verdict,
}

/// One step, and what goes wrong with it.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) act: Act,
    pub(crate) fault: Option<Fault>,
}

/// What is done; numbers pick among the tasks and leases there are by then.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Enqueue(Vec<Plan>),
    EnqueueAgain(usize),
    Lease {
        queues: Vec<&'static str>,
        routes: Option<Vec<(&'static str, u64)>>,
        limit: usize,
        starting: usize,
        suspects: usize,
    },
    Extend(Vec<usize>, Duration),
    Settle(Vec<End>),
    Sweep,
    RunNow(usize),
    Replay(usize),
    Delete(usize),
    Purge(&'static str),
    Pause(&'static str, bool),
    Configure(&'static str, QueueConfig),
    Page(TaskFilter, usize),
    Pass(Duration),
    /// Every worker ends, and the backend is opened again.
    Reopen,
}

const QUEUES: [&str; 3] = ["q", "r", "s"];
const KINDS: [&str; 2] = ["a", "b"];
const SHAPES: [u64; 2] = [1, u64::MAX];

pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    let faults = select(&[Fault::Fail, Fault::LoseAnswer, Fault::DiskFull, Fault::Slow][..]);
    let fault = prop_oneof![4 => Just(None), 1 => faults.prop_map(Some)];
    (any_act(), fault).prop_map(|(act, fault)| Step { act, fault })
}

fn any_act() -> impl Strategy<Value = Act> {
    let queue = || select(&QUEUES[..]);
    prop_oneof![
        6 => prop::collection::vec(any_plan(), 0..4).prop_map(Act::Enqueue),
        1 => any::<usize>().prop_map(Act::EnqueueAgain),
        7 => any_lease(),
        2 => (prop::collection::vec(any::<usize>(), 0..4), any_duration()).prop_map(|(of, time)| Act::Extend(of, time)),
        6 => prop::collection::vec(any_end(), 0..5).prop_map(Act::Settle),
        4 => Just(Act::Sweep),
        1 => any::<usize>().prop_map(Act::RunNow),
        2 => any::<usize>().prop_map(Act::Replay),
        1 => any::<usize>().prop_map(Act::Delete),
        1 => queue().prop_map(Act::Purge),
        1 => (queue(), any::<bool>()).prop_map(|(queue, paused)| Act::Pause(queue, paused)),
        1 => (queue(), any_retry()).prop_map(|(queue, retry)| {
            Act::Configure(queue, QueueConfig::new().with_retry(retry))
        }),
        3 => (any_filter(), 0_usize..5).prop_map(|(filter, limit)| Act::Page(filter, limit)),
        6 => any_duration().prop_map(Act::Pass),
        1 => Just(Act::Reopen),
    ]
}

fn any_filter() -> impl Strategy<Value = TaskFilter> {
    let states = select(&[TaskState::Scheduled, TaskState::Leased, TaskState::Dead][..]);
    (of(select(&QUEUES[..])), of(select(&KINDS[..])), of(states)).prop_map(|(queue, kind, state)| {
        let mut filter = TaskFilter::new();
        filter.queue = queue.map(|name| QueueName::new(name).expect("a queue name"));
        filter.kind = kind.map(|kind| Kind::new(kind).expect("a kind"));
        filter.state = state;
        filter
    })
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let identity = (select(&QUEUES[..]), select(&KINDS[..]), select(&SHAPES[..]), of(select(&["x", "y"][..])));
    let limits = (of(1_u32..4), of(any_retry()), of(Just(Duration::from_nanos(1_000_000_001))));
    let attributes = of(prop::collection::vec(any::<u8>(), 0..3));
    // Of the larger ones a part stands on pages of its own.
    let payload = (prop::collection::vec(any::<u8>(), 0..4), select(&[1_usize, 1, 2_500][..]));
    let bytes = (attributes, payload.prop_map(|(bytes, times)| bytes.repeat(times)));
    (identity, any_schedule(), limits, bytes).prop_map(|((queue, kind, shape, name), schedule, limits, bytes)| {
        let ((max_attempts, retry, deadline), (attributes, payload)) = (limits, bytes);
        Plan { queue, kind, shape, name, schedule, max_attempts, retry, deadline, attributes, payload }
    })
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        4 => Just(Schedule::Now),
        2 => any_duration().prop_map(Schedule::After),
        1 => Just(Schedule::At(Timestamp::MAX)),
        1 => Just(Schedule::At(Timestamp::from_micros(-1))),
    ]
}

fn any_retry() -> impl Strategy<Value = RetryConfig> {
    (of(1_u32..4), of(any_duration()), any_duration(), 0_u32..3).prop_map(|(attempts, patience, pause, doublings)| {
        RetryConfig::new()
            .with_max_attempts(attempts)
            .with_max_retry_duration(patience)
            .with_min_backoff(pause)
            .with_max_doublings(doublings)
    })
}

fn any_lease() -> impl Strategy<Value = Act> {
    let queues = prop::sample::subsequence(&QUEUES[..], 1..=QUEUES.len());
    let route = (select(&KINDS[..]), select(&SHAPES[..]));
    (queues, of(prop::collection::vec(route, 0..4)), 0_usize..8, 0_usize..4, 0_usize..3).prop_map(
        |(queues, routes, limit, starting, suspects)| Act::Lease { queues, routes, limit, starting, suspects },
    )
}

fn any_end() -> impl Strategy<Value = End> {
    (any::<usize>(), of(any_duration()), any_verdict()).prop_map(|(lease, began, verdict)| End {
        lease,
        began,
        verdict,
    })
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    // More than is kept of one, in letters of two bytes.
    let long = "é".repeat(3_000);
    let error = move || select(vec![String::new(), "it failed".to_owned(), long.clone()]);
    prop_oneof![
        2 => Just(Verdict::Done),
        4 => (error(), of(any_duration()), of(1_u32..4)).prop_map(|(error, after, max_attempts)| {
            Verdict::Retry { error, after, max_attempts }
        }),
        1 => error().prop_map(|error| Verdict::Permanent { error }),
        1 => Just(Verdict::Release),
    ]
}

fn any_duration() -> impl Strategy<Value = Duration> {
    let seconds = |seconds| Just(Duration::from_secs(seconds));
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_micros(1)),
        seconds(1),
        seconds(30),
        seconds(100),
        seconds(4000)
    ]
}
