//! The queues of a worker that starts: those that tasks name are created, unknown ones reported.

use std::collections::BTreeSet;

use crate::client::Client;
use crate::log;
use crate::outcome::chain;
use crate::queue::{QueueConfig, QueueName};

/// How many queues are asked for at once: others who wait for the storage have their turn between.
const AT_ONCE: usize = 100;

/// How many names of queues are listed in a line of the log.
const MOST_LISTED: usize = 20;

/// Creates the queues that tasks name, and warns of queues that nobody knows.
pub(super) async fn prepare(client: &Client, served: &BTreeSet<QueueName>) {
    let mut known = client.named_queues();
    // The worker's roles report storage errors.
    if let Ok(stored) = client.queues().await {
        let stored: BTreeSet<_> = stored.into_iter().map(|queue| queue.name).collect();
        let missing = served.intersection(&known).filter(|queue| !stored.contains(*queue));
        create(client, &missing.cloned().collect::<Vec<_>>()).await;
        known.extend(stored);
    }
    warn_of_unknown(served, &known);
}

/// Creates queues without changing one that exists by now. One that cannot be created comes into
/// being with its first task.
async fn create(client: &Client, missing: &[QueueName]) {
    let create = |queue: &QueueName| client.backend().put_queue(queue.clone(), QueueConfig::new());
    for some in missing.chunks(AT_ONCE) {
        // Of these, all are asked for before the first is awaited: SQLite commits them together.
        let created: Vec<_> = some.iter().map(create).collect();
        for created in created {
            if let Err(error) = created.await {
                let error = chain(&error);
                return log::say(|| {
                    tracing::debug!(
                        error,
                        "a queue that tasks name cannot be created before its tasks"
                    );
                });
            }
        }
    }
}

/// Queues are created as tasks arrive, so an unknown queue may be right, but is more likely
/// misspelt.
fn warn_of_unknown(served: &BTreeSet<QueueName>, known: &BTreeSet<QueueName>) {
    let unknown: Vec<_> = served.difference(known).collect();
    if unknown.is_empty() {
        return;
    }
    let (queues, known) = (listed(&unknown), listed(&known.iter().collect::<Vec<_>>()));
    log::say(|| {
        tracing::warn!(
            queues,
            known,
            "the worker serves queues that no task names and that are not stored: are the names \
             misspelt?"
        );
    });
}

/// The first names, and how many there are besides.
fn listed(queues: &[&QueueName]) -> String {
    let first: Vec<_> = queues.iter().take(MOST_LISTED).map(|queue| queue.as_str()).collect();
    match queues.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
