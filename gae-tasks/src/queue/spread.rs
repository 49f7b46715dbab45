//! Chooses one of several queues for a task.

use crate::task::{TaskId, TaskName};

/// Chooses the queue for a task: by the hash of its name, because names belong to a queue; or, for
/// an unnamed task, by the random part of its id. `None` if there are no queues.
pub(crate) fn spread<'a, Q>(queues: &'a [Q], name: Option<&TaskName>, id: TaskId) -> Option<&'a Q> {
    let number = match name {
        Some(name) => fnv1a(name.as_str().as_bytes()),
        None => {
            let [.., a, b, c, d] = *id.as_bytes();
            u64::from(u32::from_be_bytes([a, b, c, d]))
        }
    };
    let count = u64::try_from(queues.len()).ok()?;
    let index = usize::try_from(number.checked_rem(count)?).ok()?;
    queues.get(index)
}

/// FNV-1a: the same on every machine and in every version, unlike the standard library's hashes.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueName;

    fn queues(n: usize) -> Vec<QueueName> {
        (0..n).map(|i| QueueName::new(format!("q{i}")).unwrap()).collect()
    }

    #[test]
    fn a_name_always_goes_to_the_same_queue() {
        let (queues, name) = (queues(5), TaskName::new("welcome-42").unwrap());
        let first = spread(&queues, Some(&name), TaskId::generate());
        assert!((0..50).all(|_| spread(&queues, Some(&name), TaskId::generate()) == first));
    }

    #[test]
    fn unnamed_tasks_reach_every_queue() {
        let queues = queues(4);
        let mut reached: Vec<_> =
            (0..500).filter_map(|_| spread(&queues, None, TaskId::generate())).collect();
        reached.sort();
        reached.dedup();
        assert_eq!(reached.len(), 4);
    }

    #[test]
    fn no_queues_give_none() {
        assert_eq!(spread::<QueueName>(&[], None, TaskId::generate()), None);
    }
}
