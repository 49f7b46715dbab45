//! The queues of a worker that starts: those that tasks name are created, unknown ones reported.

use std::collections::BTreeSet;

use crate::client::Client;
use crate::log;
use crate::outcome::chain;
use crate::queue::{QueueConfig, QueueName};

/// Creates the queues that tasks name, and warns of queues that nobody knows.
pub(super) async fn prepare(client: &Client, served: &BTreeSet<QueueName>) {
    let mut known = client.named_queues();
    // The worker's roles report storage errors.
    if let Ok(stored) = client.queues().await {
        let stored: BTreeSet<_> = stored.into_iter().map(|queue| queue.name).collect();
        let missing = served.intersection(&known).filter(|queue| !stored.contains(*queue));
        create(client, missing.cloned().collect()).await;
        known.extend(stored);
    }
    warn_of_unknown(served, &known);
}

/// Creates queues without changing one that exists by now. One that cannot be created comes into
/// being with its first task.
async fn create(client: &Client, missing: Vec<QueueName>) {
    let create = |queue| client.backend().put_queue(queue, QueueConfig::new());
    // All are asked for at once: SQLite then commits them together.
    let created: Vec<_> = missing.into_iter().map(create).collect();
    for created in created {
        if let Err(error) = created.await {
            let error = chain(&error);
            return log::say(|| {
                tracing::debug!(error, "a queue that tasks name cannot be created before its tasks")
            });
        }
    }
}

/// Queues are created as tasks arrive, so an unknown queue may be right, but is more likely
/// misspelt.
fn warn_of_unknown(served: &BTreeSet<QueueName>, known: &BTreeSet<QueueName>) {
    for queue in served.difference(known) {
        let known = known.iter().map(QueueName::as_str).collect::<Vec<_>>().join(", ");
        log::say(|| {
            tracing::warn!(
                %queue, known,
                "the worker serves a queue that no task names and that is not stored: is the name \
                 misspelt?"
            );
        });
    }
}
