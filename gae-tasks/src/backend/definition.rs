//! What a stored schedule makes of its ticks: the task that each of them stores, and what becomes
//! of those that were missed. Opaque bytes to backends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::request::NewTask;
use super::schedule::ScheduleKey;
use crate::attributes::checksum;
use crate::cron::Missed;
use crate::payload::SensitivePaths;
use crate::queue::{HIGHEST, LOWEST, QueueName, RetryConfig};
use crate::task::{Kind, Shape, TaskId, TaskName, TaskSpec};
use crate::time::Timestamp;
use crate::version::{self, Unread};

/// What a schedule makes of its ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) missed: Missed,
    /// The task of each tick, but for its id, its name and its time.
    pub(crate) task: NewTask,
}

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Stored {
    missed: StoredMissed,
    kind: String,
    shape: u64,
    queue: String,
    max_attempts: Option<u32>,
    retry: Option<RetryConfig>,
    deadline: Option<Duration>,
    priority: i8,
    attributes: Option<Vec<u8>>,
    payload: Vec<u8>,
    schema: Vec<u8>,
    sensitive: Vec<Box<str>>,
}

#[derive(Serialize, Deserialize)]
enum StoredMissed {
    Once,
    Skip,
    All(u32),
}

impl Definition {
    /// Encodes the definition; the first byte is the version. `None` if postcard refuses a value.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let Self { missed, task } = self;
        let NewTask { spec, payload, schema, sensitive, schedule: _, on_conflict: _ } = task;
        // Destructured, so that a new field cannot be forgotten here.
        let TaskSpec {
            id: _,
            kind,
            shape,
            queue,
            name: _,
            // A tick has its own name.
            unique: _,
            max_attempts,
            retry,
            deadline,
            priority,
            attributes,
        } = spec;
        version::encode(&Stored {
            missed: match *missed {
                Missed::Once => StoredMissed::Once,
                Missed::Skip => StoredMissed::Skip,
                Missed::All(most) => StoredMissed::All(most),
            },
            kind: kind.to_string(),
            shape: shape.to_bits(),
            queue: queue.to_string(),
            max_attempts: *max_attempts,
            retry: retry.clone(),
            deadline: *deadline,
            priority: *priority,
            attributes: attributes.clone(),
            payload: payload.clone(),
            schema: schema.to_vec(),
            sensitive: sensitive.to_vec(),
        })
    }

    /// Decodes a stored definition.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unread> {
        let stored: Stored = version::decode(bytes)?;
        if !(LOWEST..=HIGHEST).contains(&stored.priority) {
            return Err(Unread::Damaged);
        }
        let kind = Kind::new(stored.kind).map_err(|_| Unread::Damaged)?;
        let queue = QueueName::new(stored.queue).map_err(|_| Unread::Damaged)?;
        let id = TaskId::from_bytes([0; 16]);
        let spec = TaskSpec {
            max_attempts: stored.max_attempts,
            retry: stored.retry,
            deadline: stored.deadline,
            priority: stored.priority,
            attributes: stored.attributes,
            ..TaskSpec::new(id, kind, Shape::from_bits(stored.shape), queue)
        };
        let sensitive: SensitivePaths = stored.sensitive.into_iter().collect();
        let task = NewTask::new(spec, stored.payload, stored.schema);
        let missed = match stored.missed {
            StoredMissed::Once => Missed::Once,
            StoredMissed::Skip => Missed::Skip,
            StoredMissed::All(most) => Missed::All(most),
        };
        Ok(Self { missed, task: task.with(|task| task.sensitive = sensitive) })
    }

    /// The task of a tick: due at once, under the tick's name.
    pub(crate) fn task_of(&self, key: &ScheduleKey, tick: Timestamp) -> NewTask {
        self.task.clone().with(|task| {
            task.spec.id = TaskId::generate();
            task.spec.name = TaskName::new(name_of(key, tick)).ok();
        })
    }
}

/// The name of a tick's task: the schedule's, a hash that tells it from those of other programs,
/// and the tick's time. So a tick is stored once, whatever happens to the schedule, and its name
/// blocks no other tick.
fn name_of(key: &ScheduleKey, tick: Timestamp) -> String {
    /// How much of the schedule's name is in it, in bytes.
    const MOST: usize = 200;
    let fits = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let name: String = key.name.chars().take(MOST).map(fits).collect();
    let hash = checksum(format!("{}\0{}", key.program, key.name).as_bytes());
    let time = tick.to_string().replace(['-', ':', '.', '+'], "");
    format!("{name}-{hash:016x}-{time}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Schedule;

    fn definition() -> Definition {
        let (kind, queue) =
            (Kind::from_static("shop/report"), QueueName::new("reports").expect("it is valid"));
        let spec = TaskSpec::new(TaskId::from_bytes([0; 16]), kind, Shape::from_bits(7), queue);
        let task = NewTask::new(spec, b"payload".to_vec(), *b"schema").with(|task| {
            task.spec.max_attempts = Some(3);
            task.spec.retry = Some(RetryConfig::new().with_max_attempts(Some(9)));
            task.spec.deadline = Some(Duration::from_secs(30));
            task.spec.priority = -7;
            task.spec.attributes = Some(vec![1, 0, 0, 0, 0]);
            task.sensitive = [Box::from("card.number")].into_iter().collect();
        });
        Definition { missed: Missed::All(12), task }
    }

    #[test]
    fn a_definition_is_read_back() {
        for missed in [Missed::Once, Missed::Skip, Missed::All(12)] {
            let definition = Definition { missed, ..definition() };
            let bytes = definition.encode().expect("it is written");
            assert_eq!(Definition::decode(&bytes), Ok(definition));
        }
    }

    #[test]
    fn what_is_not_a_definition_is_not_guessed_at() {
        let mut bytes = definition().encode().expect("it is written");
        bytes[0] = version::KNOWN + 1;
        assert_eq!(Definition::decode(&bytes), Err(Unread::Newer));
        for damaged in [&[][..], &bytes[..9], &[1, 0, 3, b'a', b' ', b'b']] {
            assert!(Definition::decode(damaged).is_err(), "{damaged:?}");
        }
    }

    /// Stored definitions outlive this program: changed bytes need a new version.
    #[test]
    fn the_bytes_of_a_definition_stay() {
        let (kind, queue) = (Kind::from_static("k"), QueueName::new("q").expect("it is valid"));
        let spec = TaskSpec::new(TaskId::from_bytes([0; 16]), kind, Shape::from_bits(7), queue);
        let task = NewTask::new(spec, b"p".to_vec(), *b"s");
        let bytes = Definition { missed: Missed::All(2), task }.encode();
        let expected = b"\x01\x02\x02\x01k\x07\x01q\x00\x00\x00\x00\x00\x01p\x01s\x00";
        assert_eq!(bytes.as_deref(), Some(&expected[..]));
    }

    #[test]
    fn the_task_of_a_tick_has_its_name_and_an_id_of_its_own() {
        let key = ScheduleKey::new("shop", "shop.reports/nightly");
        let tick: Timestamp = "2026-03-01T03:00:00Z".parse().expect("it is a time");
        let (one, other) = (definition().task_of(&key, tick), definition().task_of(&key, tick));
        let name = one.spec.name.clone().expect("it has a name");
        assert!(name.as_str().starts_with("shop-reports-nightly-"), "{name}");
        assert!(name.as_str().ends_with("-20260301T030000Z"), "{name}");
        assert_eq!(one.spec.name, other.spec.name);
        assert_ne!(one.spec.id, other.spec.id);
        assert_eq!(one.schedule, Schedule::Now);
    }

    #[test]
    fn no_two_ticks_have_one_name() {
        let tick = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let name = |program, name, at| name_of(&ScheduleKey::new(program, name), at);
        let names = [
            name("shop", "a/b", tick(60)),
            name("shop", "a.b", tick(60)),
            name("shop", "a/b", tick(120)),
            name("shop2", "a/b", tick(60)),
            name("shop", "a/b", Timestamp::from_micros(60_000_001)),
        ];
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
        for long in [name("shop", "/", tick(0)), name("p", &"n".repeat(500), Timestamp::MAX)] {
            assert!(TaskName::new(long.clone()).is_ok(), "{long}");
        }
    }
}
