//! The lanes that a worker can run, and the known answers of its readers.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use super::{Catalogue, Queue};
use crate::backend::Routes;
use crate::backend::readers::{Answer, Question};
use crate::backend::sqlite::error::Fault;
use crate::backend::sqlite::lane::{Runnable, RunnableLane};
use crate::queue::{QueueConfig, QueueName};

/// The most workers of one process whose lanes are kept; with more workers, some look up their
/// lanes again and again.
const MOST_RUNNABLE: usize = 8;

impl Catalogue {
    /// Whether this program can read everything that decides what becomes of a lane's tasks.
    pub(in crate::backend::sqlite) fn is_readable(&self, lane: i64) -> bool {
        self.lane(lane).is_some_and(|lane| !lane.is_newer()) && self.config(lane).is_some()
    }

    /// Keeps what the worker with `routes` has said of stored routes.
    pub(in crate::backend::sqlite) fn learn(&mut self, routes: &Routes, answers: &[Answer]) {
        self.readers.learn(routes, answers);
    }

    /// Returns the lanes from which a worker may lease now: those of its queues and routes; of a
    /// paused queue, those of tasks that were made due by hand.
    ///
    /// # Errors
    /// Besides faults, the inner error: what the worker must be asked first.
    pub(in crate::backend::sqlite) fn runnable(
        &mut self,
        connection: &Connection,
        queues: &Arc<BTreeSet<QueueName>>,
        routes: &Routes,
    ) -> Result<Result<Arc<Runnable>, Vec<Question>>, Fault> {
        if let Some(known) = self.runnable.iter().find(|known| known.is_for(queues, routes)) {
            return Ok(Ok(Arc::clone(known)));
        }
        self.served.note(queues, routes);
        let lanes = match self.readable(connection, queues, routes)? {
            Ok(lanes) => lanes,
            Err(questions) => return Ok(Err(questions)),
        };
        let runnable = Arc::new(Runnable::new(queues, routes, lanes));
        self.runnable.truncate(MOST_RUNNABLE - 1);
        self.runnable.insert(0, Arc::clone(&runnable));
        Ok(Ok(runnable))
    }

    /// Returns the lanes of these queues that the worker can read, or what it must be asked first.
    fn readable(
        &mut self,
        connection: &Connection,
        queues: &BTreeSet<QueueName>,
        routes: &Routes,
    ) -> Result<Result<Vec<RunnableLane>, Vec<Question>>, Fault> {
        let Self { lanes, queues: stored, readers, schemas, .. } = self;
        let step = |queue: &QueueName| {
            let config = stored.get(queue).and_then(|queue| queue.config.as_ref().ok());
            config.unwrap_or(&QueueConfig::new()).priority_step()
        };
        let (mut readable, mut questions) = (Vec::new(), Vec::new());
        for lane in lanes.values() {
            let goes_on = |queue: &Queue| lane.forced || !queue.paused;
            let is_open = |queue: &Queue| queue.config.is_ok() && goes_on(queue);
            if queues.contains(&lane.queue)
                && !lane.is_newer()
                && stored.get(&lane.queue).is_none_or(is_open)
            {
                let schema = || schemas.find(connection, lane.route.shape());
                let limits = stored.get(&lane.queue).and_then(Queue::limits);
                match readers.reader(routes, &lane.route, schema)? {
                    Ok(reader) => {
                        readable.extend(reader.map(|reader| {
                            RunnableLane::new(lane, reader, step(&lane.queue), limits)
                        }))
                    }
                    Err(question) => questions.push(question),
                }
            }
        }
        Ok(if questions.is_empty() { Ok(readable) } else { Err(questions) })
    }

    /// Returns the queues and routes of the workers that have leased.
    pub(in crate::backend::sqlite) fn served(&self) -> Vec<(Arc<BTreeSet<QueueName>>, Routes)> {
        self.served.all()
    }
}
