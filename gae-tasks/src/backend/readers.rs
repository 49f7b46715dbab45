//! The answers of workers about routes, kept so that a worker is asked once about each.
//!
//! A worker may take its time for an answer, so nobody asks within a transaction: a lease that
//! meets routes of which nothing is known ends with [questions](Question), and is repeated with the
//! [answers](Answer).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use super::lease::{ReadsRoutes, Routes};
use super::refusers::ReaderId;
use crate::task::Route;

/// The most workers whose answers are kept. With more, some are asked again and again.
const MOST: usize = 64;

/// Which tasks each worker can read.
#[derive(Debug, Default)]
pub(crate) struct KnownReaders(Vec<Asked>);

/// The answers of one worker.
#[derive(Debug)]
struct Asked {
    /// Weak, so that the answers of a worker that has ended are not given to another.
    of: Weak<dyn ReadsRoutes>,
    /// By route, the reader, and whether the worker knew the schema.
    answers: HashMap<Route, (Option<ReaderId>, bool)>,
}

/// A worker must say which of its functions reads the tasks of a route.
#[derive(Debug)]
pub(crate) struct Question {
    route: Route,
    /// The stored schema of the payloads.
    schema: Option<Arc<[u8]>>,
}

/// What a worker has said about a route.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    route: Route,
    reader: Option<ReaderId>,
    had_schema: bool,
}

impl Routes {
    /// Asks the worker, which may take its time, once about each route.
    pub(crate) fn answer(&self, questions: Vec<Question>) -> Vec<Answer> {
        let mut asked = HashSet::new();
        let is_new = |question: &Question| asked.insert(question.route.clone());
        let questions = questions.into_iter().filter(is_new).collect::<Vec<_>>();
        let answer = |Question { route, schema }| {
            let reader = self.reader(&route, schema.as_deref());
            Answer { route, reader, had_schema: schema.is_some() }
        };
        questions.into_iter().map(answer).collect()
    }
}

impl KnownReaders {
    /// Returns the function that reads tasks of `route` for a worker with `routes`, `None` if there
    /// is none; or what the worker must be asked. `schema` looks up the schema of the route's
    /// payloads.
    ///
    /// # Errors
    /// The schema cannot be looked up.
    pub(crate) fn reader<E>(
        &self,
        routes: &Routes,
        route: &Route,
        schema: impl FnOnce() -> Result<Option<Arc<[u8]>>, E>,
    ) -> Result<Result<Option<ReaderId>, Question>, E> {
        let Routes::Read(worker) = routes else { return Ok(Ok(routes.reader(route, None))) };
        let asked = self.0.iter().find(|asked| asked.is_of(worker));
        let answer = asked.and_then(|asked| asked.answers.get(route)).copied();
        if let Some((reader, true)) = answer {
            return Ok(Ok(reader));
        }
        let schema = schema()?;
        Ok(match answer {
            // Without a schema, the answer may change as soon as one is stored.
            Some((reader, _)) if schema.is_none() => Ok(reader),
            _ => Err(Question { route: route.clone(), schema }),
        })
    }

    /// Keeps what the worker with `routes` has said.
    pub(crate) fn learn(&mut self, routes: &Routes, answers: &[Answer]) {
        let Routes::Read(worker) = routes else { return };
        if !answers.is_empty() {
            let answers = answers.iter().cloned();
            let answers = answers.map(|answer| (answer.route, (answer.reader, answer.had_schema)));
            self.asked(worker).answers.extend(answers);
        }
    }

    fn asked(&mut self, worker: &Arc<dyn ReadsRoutes>) -> &mut Asked {
        let place = self.0.iter().position(|asked| asked.is_of(worker)).unwrap_or_else(|| {
            self.0.retain(|asked| asked.of.strong_count() > 0);
            self.0.drain(..(self.0.len() + 1).saturating_sub(MOST));
            self.0.push(Asked { of: Arc::downgrade(worker), answers: HashMap::new() });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}

impl Asked {
    /// The address of a weak reference is not reused, even after its worker has ended.
    fn is_of(&self, worker: &Arc<dyn ReadsRoutes>) -> bool {
        std::ptr::addr_eq(self.of.as_ptr(), Arc::as_ptr(worker))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::task::{Kind, Shape};

    const READER: ReaderId = ReaderId::from_bits(1);

    /// Reads every route with a schema, and counts the questions.
    #[derive(Debug, Default)]
    struct Counts(AtomicUsize);

    impl ReadsRoutes for Counts {
        fn reader(&self, _: &Route, schema: Option<&[u8]>) -> Option<ReaderId> {
            self.0.fetch_add(1, Ordering::Relaxed);
            schema.map(|_| READER)
        }
    }

    fn route(shape: u64) -> Route {
        Route::new(Kind::from_static("shop/send"), Shape::from_bits(shape))
    }

    fn known(
        readers: &KnownReaders,
        routes: &Routes,
        shape: u64,
        schema: Option<&[u8]>,
    ) -> Result<Option<ReaderId>, Question> {
        let schema = || Ok::<_, Infallible>(schema.map(Arc::from));
        let Ok(known) = readers.reader(routes, &route(shape), schema);
        known
    }

    /// Asks the worker if nothing is known.
    fn read(
        readers: &mut KnownReaders,
        worker: &Arc<Counts>,
        shape: u64,
        schema: Option<&[u8]>,
    ) -> Option<ReaderId> {
        let routes = Routes::Read(Arc::clone(worker) as _);
        known(readers, &routes, shape, schema).unwrap_or_else(|question| {
            readers.learn(&routes, &routes.answer(vec![question]));
            known(readers, &routes, shape, schema).unwrap()
        })
    }

    #[test]
    fn each_worker_is_asked_once_about_a_route() {
        let (mut readers, workers) = (KnownReaders::default(), [(); 2].map(|()| Arc::default()));
        for (worker, shape) in [(0, 7), (0, 7), (1, 7), (0, 8), (1, 7), (0, 7)] {
            let worker: &Arc<Counts> = &workers[worker];
            assert_eq!(read(&mut readers, worker, shape, Some(b"x")), Some(READER));
        }
        assert_eq!(workers.map(|worker| worker.0.load(Ordering::Relaxed)), [2, 1]);
    }

    #[test]
    fn a_worker_is_asked_again_once_there_is_a_schema() {
        let (mut readers, worker) = (KnownReaders::default(), Arc::<Counts>::default());
        for _ in 0..3 {
            assert_eq!(read(&mut readers, &worker, 7, None), None);
        }
        assert_eq!(worker.0.load(Ordering::Relaxed), 1, "once while there is none");
        assert_eq!(read(&mut readers, &worker, 7, Some(b"x")), Some(READER));
    }

    #[test]
    fn the_answers_of_a_worker_end_with_it() {
        let mut readers = KnownReaders::default();
        for _ in 0..3 * MOST {
            read(&mut readers, &Arc::default(), 7, Some(b"x"));
        }
        assert_eq!(readers.0.len(), 1);
        let workers: Vec<_> = (0..3 * MOST).map(|_| Arc::default()).collect();
        workers.iter().for_each(|worker| _ = read(&mut readers, worker, 7, Some(b"x")));
        assert_eq!(readers.0.len(), MOST);
        // From the newest on: to ask an older one again would push out a newer.
        for worker in workers.iter().rev().take(MOST) {
            read(&mut readers, worker, 7, Some(b"x"));
            assert_eq!(
                worker.0.load(Ordering::Relaxed),
                1,
                "the oldest answers are forgotten first"
            );
        }
        read(&mut readers, &workers[0], 7, Some(b"x"));
        assert_eq!(workers[0].0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn routes_that_are_listed_read_their_own_shape() {
        let readers = KnownReaders::default();
        let only = Routes::Only(Arc::new(BTreeSet::from([route(7)])));
        let reader = |routes: &Routes, shape| {
            let none = || -> Result<_, Infallible> { unreachable!("nobody needs the schema") };
            let Ok(answer) = readers.reader(routes, &route(shape), none);
            answer.expect("nobody is asked").map(ReaderId::to_bits)
        };
        assert_eq!([reader(&only, 7), reader(&only, 8)], [Some(7), None]);
        assert_eq!(reader(&Routes::Any, 8), Some(8));
    }
}
