//! The names of tasks and queues at Google, and the ids that correspond to them.

use std::fmt;

use uuid::Uuid;

use crate::queue::QueueName;
use crate::task::{TaskId, TaskName};

/// The UUID version of the ids that clients generate.
const MADE_BY_CLIENT: usize = 7;

/// The namespace from which ids of named tasks are derived; an arbitrary constant that must never
/// change.
const NAMES: Uuid = Uuid::from_u128(0x6f0c_3a41_9d52_4f7e_8b1a_d2c4_55e0_7713);

/// The end of the name of a queue of dead letters.
const SUFFIX: &str = "-dead";

/// A project and a region in it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) project: String,
    pub(super) location: String,
}

impl Location {
    pub(super) fn queue(&self, queue: &QueueName) -> String {
        format!("{self}/queues/{queue}")
    }

    pub(super) fn task(&self, queue: &QueueName, name: &str) -> String {
        format!("{self}/queues/{queue}/tasks/{name}")
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}/locations/{}", self.project, self.location)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Returns the last part of a resource's name.
pub(super) fn last_part(resource: &str) -> &str {
    resource.rsplit_once('/').map_or(resource, |(_, last)| last)
}

/// Returns the queue that has the dead letters of `queue`, or the reason why there is none.
pub(super) fn queue_of_letters(queue: &QueueName) -> Result<QueueName, String> {
    if queue.as_str().ends_with(SUFFIX) {
        return Err(format!(
            "the queue `{queue}` has a name for queues of dead letters: give it another name"
        ));
    }
    QueueName::new(format!("{queue}{SUFFIX}")).map_err(|_| {
        let (length, most) = (queue.as_str().len(), 100 - SUFFIX.len());
        format!(
            "the name of the queue `{queue}` has {length} characters, so `{queue}{SUFFIX}` is too \
             long for the queue of its dead letters: use {most} at most"
        )
    })
}

/// Returns the queue whose dead letters are in `queue`, if `queue` is for dead letters.
pub(super) fn queue_of_tasks(queue: &QueueName) -> Option<QueueName> {
    QueueName::new(queue.as_str().strip_suffix(SUFFIX)?).ok()
}

/// Returns the name at Google of a task without a name: its id backwards. Ids begin with the time
/// and end at random, and names with a common beginning would all land in one place of Google's
/// storage.
pub(super) fn of_unnamed(id: TaskId) -> String {
    let (front, back) =
        Uuid::from_u128(Uuid::from_bytes(*id.as_bytes()).to_u128_le()).as_u64_pair();
    format!("{front:016x}-{back:016x}")
}

/// Returns the name at Google of a copy of an unnamed task: the task's name with the copy's number.
/// The number 0 is the task itself.
pub(super) fn of_copy(id: TaskId, number: u32) -> String {
    let task = of_unnamed(id);
    if number == 0 { task } else { format!("{task}-{number}") }
}

/// Returns the id of the task that has `name` at Google in `queue`.
pub(super) fn id_of(queue: &QueueName, name: &str) -> TaskId {
    unnamed(name).unwrap_or_else(|| of_named(queue, name))
}

/// Returns the id of the task with this name: the same id whoever defers the task, so that a
/// duplicate is answered with it.
pub(super) fn id_for(queue: &QueueName, name: &TaskName) -> TaskId {
    of_named(queue, name.as_str())
}

/// Whether `id` belongs to a task without a name.
pub(super) fn is_unnamed(id: TaskId) -> bool {
    Uuid::from_bytes(*id.as_bytes()).get_version_num() == MADE_BY_CLIENT
}

fn unnamed(name: &str) -> Option<TaskId> {
    let mut parts = name.splitn(3, '-');
    let mut half = || u64::from_str_radix(parts.next()?, 16).ok();
    let backwards = Uuid::from_u64_pair(half()?, half()?);
    let number = parts.next().map_or(Ok(0), str::parse).ok()?;
    let id = TaskId::from_bytes(*Uuid::from_u128_le(backwards.as_u128()).as_bytes());
    // Only names exactly as this crate writes them: a caller's name may look similar.
    (is_unnamed(id) && of_copy(id, number) == name).then_some(id)
}

fn of_named(queue: &QueueName, name: &str) -> TaskId {
    // Neither part contains a slash, so different pairs have different texts.
    TaskId::from_bytes(*Uuid::new_v5(&NAMES, format!("{queue}/{name}").as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_name_of_an_unnamed_task_gives_its_id_back() {
        let ids: Vec<_> = (0..100).map(|_| TaskId::generate()).collect();
        for id in &ids {
            assert_eq!(id_of(&QueueName::DEFAULT, &of_unnamed(*id)), *id);
            assert!(TaskName::new(of_unnamed(*id)).is_ok());
        }
        let mut starts: Vec<_> = ids.iter().map(|id| of_unnamed(*id)[..6].to_owned()).collect();
        starts.sort();
        starts.dedup();
        assert!(starts.len() > 98, "the names begin alike: {starts:?}");
    }

    #[test]
    fn the_name_of_a_copy_gives_the_id_of_its_task_back() {
        let id = TaskId::generate();
        for number in [1, 2, 17, u32::MAX] {
            let name = of_copy(id, number);
            assert!(
                name.starts_with(&of_unnamed(id)) && TaskName::new(name.clone()).is_ok(),
                "{name}"
            );
            assert_eq!(id_of(&QueueName::DEFAULT, &name), id);
        }
        assert_eq!(of_copy(id, 0), of_unnamed(id));
        for other in ["-0", "-01", "-+1", "-1-1", "-", "-a", "-4294967296"] {
            let name = format!("{}{other}", of_unnamed(id));
            assert!(!is_unnamed(id_of(&QueueName::DEFAULT, &name)), "{name} is a caller's");
        }
    }

    #[test]
    fn the_id_of_a_named_task_follows_from_queue_and_name() {
        let (name, other) =
            (TaskName::new("welcome-1").unwrap(), QueueName::new("emails").unwrap());
        let id = id_for(&QueueName::DEFAULT, &name);
        assert_eq!(id, id_of(&QueueName::DEFAULT, "welcome-1"));
        assert_ne!(id, id_for(&other, &name));
        assert!(!is_unnamed(id));
        // Waiting tasks and tombstones are known by this id, so it must never change.
        assert_eq!(id.to_string(), "d04c1fdb-e9f6-5b63-987a-65626665d5c6");
    }

    #[test]
    fn a_queue_of_letters_is_named_after_the_queue_of_its_tasks() {
        let queue = |name: &str| QueueName::new(name).unwrap();
        let letters = queue_of_letters(&queue("emails")).unwrap();
        assert_eq!(
            (letters.as_str(), queue_of_tasks(&letters)),
            ("emails-dead", Some(queue("emails")))
        );
        assert_eq!(queue_of_tasks(&queue("emails")), None);
        let longest = "q".repeat(95);
        assert!(queue_of_letters(&queue(&longest)).is_ok());
        let problem = queue_of_letters(&queue(&format!("{longest}q"))).unwrap_err();
        assert!(problem.contains("96 characters") && problem.contains("95 at most"), "{problem}");
        assert!(queue_of_letters(&letters).unwrap_err().contains("another name"));
    }

    proptest! {
        #[test]
        fn no_name_of_a_caller_is_taken_for_an_id(name in "[A-Za-z0-9_-]{1,40}") {
            prop_assert!(!is_unnamed(id_of(&QueueName::DEFAULT, &name)));
        }
    }
}
