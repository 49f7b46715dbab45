//! The queues that a worker leaves to others, of those that the registered tasks name.

use std::collections::BTreeSet;

use crate::queue::QueueName;

/// Takes the queues with these names out of those that a worker serves, and returns them.
/// `are_stated` says whether the served queues are those of `.queues([..])`.
pub(super) fn leave_out(
    names: &[String],
    are_stated: bool,
    served: &mut BTreeSet<QueueName>,
    problems: &mut Vec<String>,
) -> BTreeSet<QueueName> {
    let mut left_out = BTreeSet::new();
    for name in names {
        match QueueName::new(name.clone()) {
            Ok(queue) if are_stated && served.contains(&queue) => {
                problems.push(in_both(&queue));
            }
            Ok(queue) if !are_stated && !served.contains(&queue) => {
                problems.push(not_named(&queue, served));
            }
            Ok(queue) => _ = left_out.insert(queue),
            Err(error) => problems.push(error.to_string()),
        }
    }
    served.retain(|queue| !left_out.contains(queue));
    left_out
}

/// The problem of a worker that serves no queue.
pub(super) const fn no_queues(are_left_out: bool) -> &'static str {
    if are_left_out {
        "the worker has no queues: `.without_queues([..])` leaves out all that registered tasks \
         name"
    } else {
        "the worker has no queues: name at least one in `.queues([..])`"
    }
}

fn in_both(queue: &QueueName) -> String {
    format!(
        "the queue `{queue}` is in `.queues([..])` and in `.without_queues([..])`: take it out of \
         one of them"
    )
}

fn not_named(queue: &QueueName, served: &BTreeSet<QueueName>) -> String {
    let named: Vec<_> = served.iter().map(|queue| format!("`{queue}`")).collect();
    let named = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
    format!(
        "`.without_queues([\"{queue}\"])` leaves out a queue that no registered task names: is the \
         name misspelt? They name {named}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(names: &[&str]) -> BTreeSet<QueueName> {
        names.iter().map(|name| QueueName::new(*name).unwrap()).collect()
    }

    /// Leaves queues out of `a` and `b`; returns those that are left, those that are out, and the
    /// problems.
    fn left(
        out: &[&str],
        are_stated: bool,
    ) -> (BTreeSet<QueueName>, BTreeSet<QueueName>, Vec<String>) {
        let (mut served, mut problems) = (queues(&["a", "b"]), Vec::new());
        let names: Vec<_> = out.iter().map(|name| (*name).to_owned()).collect();
        let left_out = leave_out(&names, are_stated, &mut served, &mut problems);
        (served, left_out, problems)
    }

    #[test]
    fn what_is_left_out_is_not_served() {
        assert_eq!(left(&["b"], false), (queues(&["a"]), queues(&["b"]), vec![]));
        assert_eq!(left(&["a", "b"], false), (queues(&[]), queues(&["a", "b"]), vec![]));
    }

    #[test]
    fn a_queue_that_no_task_names_is_refused_where_the_tasks_name_the_queues() {
        let (served, left_out, problems) = left(&["c"], false);
        assert_eq!((served, left_out), (queues(&["a", "b"]), queues(&[])));
        assert!(problems[0].contains("\"c\"") && problems[0].contains("`a`, `b`"), "{problems:?}");
        assert_eq!(left(&["c"], true), (queues(&["a", "b"]), queues(&["c"]), vec![]));
    }

    #[test]
    fn a_queue_that_is_served_and_left_out_is_refused_and_so_is_one_without_a_valid_name() {
        for out in ["a", "not a name"] {
            let (served, left_out, problems) = left(&[out], true);
            assert_eq!((served, left_out, problems.len()), (queues(&["a", "b"]), queues(&[]), 1));
        }
    }
}
