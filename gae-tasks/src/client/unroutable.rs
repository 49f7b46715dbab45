//! The waiting tasks that a client's program cannot run, and why.

use std::fmt;

use super::Client;
use crate::backend::{RouteStats, Stats};
use crate::error::Error;
use crate::queue::QueueName;
use crate::registry::explain::explain_refused;
use crate::task::Route;

/// Waiting tasks of one queue and route that this program cannot run, as
/// [`Client::unroutable`] returns them.
///
/// `Display` shows them in one line: how many, where, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unroutable {
    /// The queue.
    pub queue: QueueName,
    /// The route.
    pub route: Route,
    /// The number of these tasks in each state.
    pub stats: Stats,
    /// Why this program cannot run them, and what to do.
    pub reason: String,
}

impl fmt::Display for Unroutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue, stats, reason, .. } = self;
        write!(f, "{} tasks wait in queue `{queue}`: {reason}", stats.scheduled)
    }
}

impl Client {
    /// Returns the waiting tasks that this program cannot run, by queue and route, each with the
    /// reason in words: an unknown kind, parameters that do not resolve ("parameter `cents`: was a
    /// u32, is a String"), values that this program's function refused, a newer version of this
    /// crate. Such tasks stay stored until a program that can run them starts.
    ///
    /// On Cloud Tasks each task carries its schema, so older parameters are judged only when a task
    /// is delivered, and what has another shape than this program's is returned here.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn unroutable(&self) -> Result<Vec<Unroutable>, Error> {
        let mut lines = self.stats_by_route().await?;
        lines.retain(|line| line.stats.scheduled > 0);
        let shapes = lines.iter().map(|line| line.route.shape()).collect();
        let schemas = self.backend().schemas(shapes).await?;
        let with_reason = |(line, schema): (RouteStats, Option<_>)| {
            let (stats, reason) = self.reason(&line, schema.as_deref())?;
            Some(Unroutable { queue: line.queue, route: line.route, stats, reason })
        };
        Ok(lines.into_iter().zip(schemas).filter_map(with_reason).collect())
    }

    /// Which tasks of `line` this program cannot run, if there are any, and why.
    fn reason(&self, line: &RouteStats, schema: Option<&[u8]>) -> Option<(Stats, String)> {
        let (kind, shape) = (line.route.kind().as_str(), line.route.shape());
        match self.registry().find(kind, shape, schema) {
            None => Some((line.stats, self.registry().explain_unroutable(kind, shape, schema))),
            Some(_) if line.is_newer => Some((
                line.stats,
                format!(
                    "a newer version of gae-tasks stored these tasks of `{kind}`, or the \
                     configuration of their queue cannot be read: update this program, or store \
                     the configuration again with `put_queue` if it is damaged"
                ),
            )),
            Some(routed) => Some((routed.refused(line)?, explain_refused(&routed, kind))),
        }
    }
}
