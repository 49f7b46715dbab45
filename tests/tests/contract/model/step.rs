//! One step of a random life, without ids and tokens, so that the step means the same on every
//! backend.

use std::time::Duration;

use gae_tasks::backend::{ReaderId, TaskFilter, TaskState, TypeBackoff, Verdict};
use gae_tasks::testing::Fault;
use gae_tasks::{
    Kind, OnConflict, QueueConfig, QueueName, Reschedule, RetryConfig, Schedule, Timestamp,
};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// A task of a random life.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) queue: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) shape: u64,
    /// Whether the schema of the shape is known.
    pub(crate) has_schema: bool,
    pub(crate) name: Option<&'static str>,
    /// The key of a unique task, and what happens on a conflict.
    pub(crate) unique: Option<(u8, OnConflict)>,
    pub(crate) schedule: Schedule,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) retry: Option<RetryConfig>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) priority: i8,
    pub(crate) attributes: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

/// The end of a lease given earlier.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) lease: usize,
    pub(crate) began: Option<Duration>,
    pub(crate) verdict: Verdict,
    pub(crate) backoff: TypeBackoff,
}

/// One step; numbers select among the existing tasks and leases.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Enqueue(Vec<Script>),
    EnqueueAgain(usize),
    Lease {
        queues: Vec<&'static str>,
        routes: Option<Vec<(&'static str, u64)>>,
        /// The shape of the function that reads the routes, by their schemas; otherwise each route
        /// is read by its own shape.
        reader: Option<u64>,
        limit: usize,
        starting: usize,
        suspects: usize,
        in_company: bool,
        /// How many runners are free, and whether only queues with limits are leased from.
        startable: usize,
        is_reserved: bool,
        last_turn: Option<&'static str>,
        bound: Option<(&'static str, usize)>,
    },
    Extend(Vec<usize>, Duration),
    Settle(Vec<End>),
    /// Settles with a token that was never given.
    SettleStale(usize),
    Sweep,
    RunNow(usize),
    Cancel(usize),
    Replay(usize),
    Delete(usize),
    Purge(&'static str),
    /// Deletes a queue with its tasks, or only if it has none.
    DeleteQueue(&'static str, bool),
    Pause(&'static str, bool),
    Configure(&'static str, QueueConfig),
    /// Gives a queue exactly these retries and limits, or none.
    Replace(&'static str, QueueConfig),
    Find(&'static str, &'static str),
    List {
        filter: TaskFilter,
        after: Option<usize>,
        limit: usize,
        newest_first: bool,
        with_payloads: bool,
    },
    Pass(Duration),
    /// The clock is set back.
    SetBack(Duration),
    /// The process is killed (or, if no task is leased, ends normally), and another process opens
    /// the file.
    Reopen,
}

/// The trouble with the call of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upset {
    /// The storage has the fault.
    Fault(Fault),
    /// The caller drops the call, at once or while it is stalled.
    HangUp { stalled: bool },
}

/// A step with its trouble.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) step: Step,
    pub(crate) upset: Option<Upset>,
}

/// The part of a life's state that decides which steps make sense.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outline {
    offered: usize,
    has_leased: bool,
}

impl Outline {
    pub(crate) fn with(mut self, step: &Step) -> Self {
        match step {
            Step::Enqueue(plans) => self.offered += plans.len(),
            Step::Lease { .. } => self.has_leased |= self.offered > 0,
            _ => {}
        }
        self
    }

    /// Whether the step has a subject.
    pub(crate) fn fits(&self, step: &Step) -> bool {
        match step {
            Step::Extend(..) | Step::Settle(_) => self.has_leased,
            Step::EnqueueAgain(_)
            | Step::Sweep
            | Step::RunNow(_)
            | Step::Cancel(_)
            | Step::Replay(_)
            | Step::Delete(_) => self.offered > 0,
            _ => true,
        }
    }

    pub(crate) fn any_deed(&self) -> BoxedStrategy<Deed> {
        let deed = |(step, upset)| Deed { upset: fitting(&step, upset), step };
        if self.has_leased {
            (any_step(), any_upset()).prop_map(deed).boxed()
        } else if self.offered > 0 {
            (any_first_step(), any_upset()).prop_map(deed).boxed()
        } else {
            (any_enqueue(), any_upset()).prop_map(deed).boxed()
        }
    }
}

/// Returns the trouble if it applies: the step must make a call, and a dropped call must have a
/// visible effect.
fn fitting(step: &Step, upset: Option<Upset>) -> Option<Upset> {
    upset.filter(|upset| match (step, upset) {
        (Step::Pass(_) | Step::SetBack(_) | Step::Reopen, _) => false,
        (Step::Enqueue(_) | Step::EnqueueAgain(_), Upset::HangUp { .. }) => true,
        (_, upset) => matches!(upset, Upset::Fault(_)),
    })
}

pub(crate) const QUEUES: [&str; 3] = ["q", "r", "s"];
const NAMES: [&str; 2] = ["x", "y"];
const KINDS: [&str; 2] = ["a", "b"];
/// Shapes of newer algorithms: any bytes may be their schemas.
pub(crate) const SHAPES: [u64; 2] = [2 << 56, u64::MAX];
const READERS: [u64; 3] = [1, 2, u64::MAX];

fn any_step() -> impl Strategy<Value = Step> {
    let indices = || prop::collection::vec(any::<usize>(), 0..4);
    prop_oneof![
        22 => any_first_step(),
        2 => (indices(), any_duration()).prop_map(|(of, time)| Step::Extend(of, time)),
        6 => prop::collection::vec(any_end(), 0..5).prop_map(Step::Settle),
        4 => Just(Step::Sweep),
        2 => any::<usize>().prop_map(Step::Replay),
        6 => any_duration().prop_map(Step::Pass),
        1 => any_duration().prop_map(Step::SetBack),
    ]
}

/// Returns steps that need no leased task.
fn any_first_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_enqueue(),
        1 => any::<usize>().prop_map(Step::EnqueueAgain),
        7 => any_lease(),
        1 => any::<usize>().prop_map(Step::SettleStale),
        2 => any::<usize>().prop_map(Step::RunNow),
        2 => any::<usize>().prop_map(Step::Cancel),
        1 => any::<usize>().prop_map(Step::Delete),
        1 => select(&QUEUES[..]).prop_map(Step::Purge),
        1 => (select(&QUEUES[..]), any::<bool>())
            .prop_map(|(queue, tasks)| Step::DeleteQueue(queue, tasks)),
        1 => (select(&QUEUES[..]), any::<bool>())
            .prop_map(|(queue, paused)| Step::Pause(queue, paused)),
        1 => (select(&QUEUES[..]), any_config())
            .prop_map(|(queue, config)| Step::Configure(queue, config)),
        1 => (select(&QUEUES[..]), any_config())
            .prop_map(|(queue, config)| Step::Replace(queue, config)),
        2 => any_list(),
        1 => (select(&QUEUES[..]), select(&NAMES[..]))
            .prop_map(|(queue, name)| Step::Find(queue, name)),
        1 => Just(Step::Reopen),
    ]
}

/// Returns a configuration with some of its fields set.
fn any_config() -> impl Strategy<Value = QueueConfig> {
    let lives = (of(any_retry()), of(any_duration()), of(any_duration()), of(0_u32..3));
    (lives, any_limits(), of(any_duration())).prop_map(|(lives, config, step)| {
        let (retry, dead, names, lost) = lives;
        let config = step.map_or(config.clone(), |step| config.with_priority_step(step));
        let config = retry.map_or(config.clone(), |retry| config.with_retry(retry));
        let config = dead.map_or(config.clone(), |dead| config.with_dead_letter_retention(dead));
        let config = names.map_or(config.clone(), |names| config.with_tombstone_retention(names));
        lost.map_or(config.clone(), |lost| config.with_max_lost_attempts(lost))
    })
}

/// Returns a configuration with some of the limits of dispatches set.
fn any_limits() -> impl Strategy<Value = QueueConfig> {
    let rates = [0.01, 0.7, 2.0, 50.0];
    (of(select(rates.to_vec())), of(1_u32..4), of(1_u32..5)).prop_map(|(rate, burst, places)| {
        let config = QueueConfig::new();
        let config =
            rate.map_or(config.clone(), |rate| config.with_max_dispatches_per_second(rate));
        let config = burst.map_or(config.clone(), |burst| config.with_max_burst_size(burst));
        places.map_or(config.clone(), |places| config.with_max_concurrent_dispatches(places))
    })
}

fn any_enqueue() -> impl Strategy<Value = Step> {
    prop::collection::vec(any_plan(), 0..4).prop_map(Step::Enqueue)
}

fn any_upset() -> impl Strategy<Value = Option<Upset>> {
    let faults = [Fault::Fail, Fault::LoseAnswer, Fault::DiskFull, Fault::Stall];
    prop_oneof![
        8 => Just(None),
        2 => select(faults.to_vec()).prop_map(|fault| Some(Upset::Fault(fault))),
        1 => any::<bool>().prop_map(|stalled| Some(Upset::HangUp { stalled })),
    ]
}

fn any_list() -> impl Strategy<Value = Step> {
    let states = [TaskState::Scheduled, TaskState::Leased, TaskState::Dead];
    let filter = (of(select(&QUEUES[..])), of(select(&KINDS[..])), of(select(states.to_vec())));
    let page = (of(any::<usize>()), 0_usize..5, any::<bool>(), any::<bool>());
    (filter, page).prop_map(
        |((queue, kind, state), (after, limit, newest_first, with_payloads))| {
            let mut filter = TaskFilter::new();
            filter.queue = queue.map(|queue| QueueName::new(queue).expect("a queue name"));
            filter.kind = kind.map(|kind| Kind::new(kind).expect("a kind"));
            filter.state = state;
            Step::List { filter, after, limit, newest_first, with_payloads }
        },
    )
}

fn any_plan() -> impl Strategy<Value = Script> {
    let shape = (select(&SHAPES[..]), prop::bool::weighted(0.8));
    let identity = (select(&QUEUES[..]), select(&KINDS[..]), shape, of(select(&NAMES[..])));
    let deadline = of(Just(Duration::from_nanos(1_000_000_001)));
    let limits = (of(1_u32..4), of(any_retry()), deadline, any_priority());
    let unique = of((0_u8..3, any_rules()));
    let small = || prop::collection::vec(any::<u8>(), 0..4);
    // The first byte of attributes is their version, mostly a readable one.
    let attributes = (prop_oneof![5 => 0_u8..2, 1 => any::<u8>()], small());
    let attributes = attributes.prop_map(|(version, rest)| [vec![version], rest].concat());
    let bytes = (prop_oneof![5 => small(), 1 => Just(vec![7; 5_000])], of(attributes));
    (identity, unique, any_schedule(), limits, bytes).prop_map(
        |((queue, kind, (shape, has_schema), name), unique, schedule, limits, bytes)| {
            let (max_attempts, retry, deadline, priority) = limits;
            let (payload, attributes) = bytes;
            Script {
                queue,
                kind,
                shape,
                has_schema,
                // A task has a name or a key.
                unique: unique.filter(|_| name.is_none()),
                name,
                schedule,
                max_attempts,
                retry,
                deadline,
                priority,
                attributes,
                payload,
            }
        },
    )
}

/// Returns what happens if a key has another task.
fn any_rules() -> impl Strategy<Value = OnConflict> {
    let reschedules = prop_oneof![
        2 => Just(Reschedule::No),
        1 => Just(Reschedule::ToCall),
        1 => any_duration().prop_map(Reschedule::Within),
    ];
    (any::<[bool; 4]>(), reschedules).prop_map(|(flags, reschedules)| {
        let mut rules = OnConflict::KEEP;
        [rules.over_running, rules.over_dead, rules.over_finished, rules.replaces_args] = flags;
        rules.reschedules = reschedules;
        rules
    })
}

fn any_priority() -> impl Strategy<Value = i8> {
    prop_oneof![3 => Just(0), 2 => select(vec![-100_i8, -1, 1, 2, 100])]
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        4 => Just(Schedule::Now),
        2 => any_duration().prop_map(Schedule::After),
        1 => Just(Schedule::At(Timestamp::MAX)),
        1 => Just(Schedule::At(Timestamp::from_micros(-1))),
    ]
}

/// Returns retry settings, with or without a backoff.
fn any_retry() -> impl Strategy<Value = RetryConfig> {
    let backoff = of((any_duration(), 0_u32..3));
    (of(1_u32..4), of(any_duration()), backoff).prop_map(|(attempts, patience, backoff)| {
        let limits =
            RetryConfig::new().with_max_attempts(attempts).with_max_retry_duration(patience);
        match backoff {
            Some((pause, doublings)) => {
                limits.with_min_backoff(pause).with_max_doublings(doublings)
            }
            None => limits,
        }
    })
}

/// Returns the backoff stated by a task's type, if any.
fn any_type_backoff() -> impl Strategy<Value = TypeBackoff> {
    let stated =
        (of(any_duration()), of(any_duration())).prop_map(|(min, max)| TypeBackoff { min, max });
    prop_oneof![3 => Just(TypeBackoff::NONE), 1 => stated]
}

fn any_lease() -> impl Strategy<Value = Step> {
    let queues = prop::sample::subsequence(&QUEUES[..], 1..=QUEUES.len());
    let route = (select(&KINDS[..]), select(&SHAPES[..]));
    let room = (0_usize..8, 0_usize..4, 0_usize..3, any::<bool>());
    let free = (0_usize..8, prop::bool::weighted(0.1));
    let turns = (of(select(&QUEUES[..])), of((select(&QUEUES[..]), 0_usize..3)));
    let routes = (of(prop::collection::vec(route, 0..4)), of(select(&READERS[..])));
    (queues, routes, (room, free), turns).prop_map(
        |(queues, (routes, reader), (room, (startable, is_reserved)), (last_turn, bound))| {
            let (limit, starting, suspects, in_company) = room;
            Step::Lease {
                queues,
                routes,
                reader,
                limit,
                starting,
                suspects,
                in_company,
                startable,
                is_reserved,
                last_turn,
                bound,
            }
        },
    )
}

fn any_end() -> impl Strategy<Value = End> {
    let end = |(lease, began, verdict, backoff)| End { lease, began, verdict, backoff };
    (any::<usize>(), of(any_duration()), any_verdict(), any_type_backoff()).prop_map(end)
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    // One message is longer than the limit, which is inside a character.
    let texts = ["".to_owned(), "it failed".to_owned(), "größer".to_owned(), "é".repeat(3_000)];
    let error = || select(texts.to_vec());
    prop_oneof![
        2 => Just(Verdict::Done),
        4 => (error(), of(any_duration()), of(1_u32..4)).prop_map(|(error, after, max_attempts)| {
            Verdict::Retry { error, after, max_attempts }
        }),
        1 => error().prop_map(|error| Verdict::Permanent { error }),
        2 => (error(), select(&READERS[..])).prop_map(|(error, reader)| {
            Verdict::Unreadable { error, reader: ReaderId::from_bits(reader) }
        }),
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
