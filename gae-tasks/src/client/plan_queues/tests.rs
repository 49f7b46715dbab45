//! Plans of a client whose queues are in memory.

use pollster::block_on;

use super::*;
use crate::backend::memory::Memory;
use crate::queue::RetryConfig;
use crate::registry::Registry;

/// A client without tasks, so that no task names a queue.
fn client() -> Client {
    Client::builder().registry(Registry::new()).build(Memory::new()).unwrap()
}

fn plan(client: &Client, queues: impl Into<Queues>) -> QueuePlan {
    block_on(client.plan_queues(queues)).unwrap()
}

fn put(client: &Client, queue: &str, config: QueueConfig) {
    block_on(client.put_queue(queue, config)).unwrap();
}

const SLOW: QueueConfig = QueueConfig::new().with_max_dispatches_per_second(1.0);

#[test]
fn a_plan_is_told_in_words() {
    let client = client();
    put(&client, "changed", SLOW.with_max_burst_size(4));
    put(&client, "extra", SLOW);
    put(&client, "same", SLOW);
    let retry = RetryConfig::new().with_max_attempts(Some(8));
    let wanted = Queues::from([("changed", SLOW), ("same", SLOW), ("new", SLOW.with_retry(retry))]);
    let plan = plan(&client, wanted);
    let told = "to change in the queues of the `memory` backend:
  update `changed`
    max_burst_size: 4 -> none
  create `new`
    max_dispatches_per_second: 1
    retry.max_attempts: 8
not configured, and kept: `extra`";
    assert_eq!(plan.to_string(), told);
    assert!(!plan.is_empty());
    let deletes = plan.delete_extra().to_string();
    assert!(deletes.ends_with("retry.max_attempts: 8\n  delete `extra`"), "{deletes}");
}

#[test]
fn an_empty_plan_says_so_and_deleting_is_a_change() {
    let client = client();
    put(&client, "a", SLOW);
    let same = plan(&client, [("a", SLOW)]);
    assert_eq!(same.to_string(), "nothing to change in the queues of the `memory` backend");
    let none = plan(&client, Queues::new());
    let extra: Vec<_> = none.extra().iter().map(QueueName::as_str).collect();
    assert_eq!((none.is_empty(), extra), (true, vec!["a"]));
    assert!(!none.delete_extra().is_empty());
}

#[test]
fn every_problem_of_all_queues_is_told_at_once() {
    let wanted = Queues::new()
        .with("not a name", QueueConfig::new())
        .with("a", QueueConfig::new().with_max_burst_size(0))
        .with("b", QueueConfig::new().with_max_lost_attempts(0))
        .with("a", QueueConfig::new());
    let Err(Error::Misconfigured { problems }) = block_on(client().plan_queues(wanted)) else {
        panic!("the queues are refused");
    };
    let told = [
        "`not a name` is not a valid queue name",
        "the configuration of queue `a` has a `max_burst_size` of 0",
        "the configuration of queue `b` has a `max_lost_attempts` of 0",
        "the queue `a` is configured twice: remove one",
    ];
    assert_eq!(problems.len(), told.len(), "{problems:#?}");
    for (problem, told) in problems.iter().zip(told) {
        assert!(problem.contains(told), "{problem}");
    }
}

/// The capabilities of a backend without sizes of token buckets.
fn without_bursts() -> Capabilities {
    let mut capabilities = Capabilities::new("far");
    capabilities.queue_limits.burst_size = false;
    capabilities
}

#[test]
fn a_default_that_a_backend_lacks_is_not_taken_and_a_stated_one_is_refused() {
    let burst = |taken: &[Taken]| WantedQueue {
        name: "a".to_owned(),
        config: QueueConfig::new().with_max_burst_size(5),
        paused: None,
        taken: taken.to_vec(),
    };
    let taken = [("bucket_size", "5".to_owned()), ("max_doublings", "16".to_owned())];
    let checked_of = |taken: &[Taken], backend: Capabilities| checked(vec![burst(taken)], &backend);
    let kept = checked_of(&taken, Capabilities::new("near")).unwrap().remove(0);
    assert_eq!((kept.config.max_burst_size(), kept.taken.len()), (Some(5), 2));
    let dropped = checked_of(&taken, without_bursts()).unwrap().remove(0);
    assert_eq!((dropped.config.max_burst_size(), dropped.taken.len()), (None, 1));
    let refused = checked_of(&[], without_bursts()).unwrap_err().to_string();
    assert!(refused.contains("queue `a` has a `max_burst_size` (`bucket_size`"), "{refused}");
}

#[cfg(feature = "yaml")]
#[test]
fn a_plan_of_a_file_tells_what_it_took_and_what_has_no_effect() {
    let client = client();
    put(&client, "bulk", QueueConfig::new());
    put(&client, "mail", QueueConfig::new());
    block_on(client.pause("mail")).unwrap();
    let file: Queues = "
queue:
- name: bulk
  rate: 0
- name: mail
  rate: 20/s
  bucket_size: 7
  max_concurrent_requests: 3
  target: worker
- name: leased
  mode: pull
- name: default
  rate: 0
  bucket_size: 9
"
    .parse()
    .unwrap();
    let first = plan(&client, file.clone());
    let told = first.to_string();
    for line in [
        "\n  update `bulk`, and pause it\n    max_burst_size: none -> 5\n",
        "\n    max_concurrent_dispatches: none -> 1000\n    retry.max_attempts: 100 -> none\n",
        "\n    retry.min_backoff: 1 s with jitter -> 100 ms\n",
        "\n  update `mail`, and resume it\n    max_dispatches_per_second: none -> 20\n",
        "\n  create `default`, paused\n    max_burst_size: 9\n",
        "\ntaken from App Engine's defaults:\n  resume_paused_queues: true\n  `bulk`: \
         bucket_size: 5, max_concurrent_requests: 1000, task_retry_limit: none, ",
        "\nstated, and without effect here:\n  queue `mail`, line 9: `target: worker` has no \
         effect",
        "\n  queue `leased`, line 11: `mode: pull` is left alone",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    block_on(first.apply()).unwrap();
    let queues = block_on(client.queues()).unwrap();
    let paused: Vec<_> = queues.iter().map(|queue| (queue.name.as_str(), queue.paused)).collect();
    assert_eq!(paused, [("bulk", true), ("default", true), ("mail", false)]);
    let again = plan(&client, file);
    assert!(again.is_empty(), "{again}");
    assert!(again.to_string().contains("taken from App Engine's defaults:"), "{again}");
}
