//! The answers of workers about routes, kept so that a worker is asked once about each.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::lease::{ReadsRoutes, Routes};
use crate::task::{Route, Shape};

/// The most workers whose answers are kept.
const MOST: usize = 8;

/// Which tasks each worker can read.
#[derive(Debug, Default)]
pub(crate) struct KnownReaders(Vec<Asked>);

/// The answers of one worker.
#[derive(Debug)]
struct Asked {
    /// Weak, so that the answers of a worker that has ended are not given to another.
    of: Weak<dyn ReadsRoutes>,
    answers: HashMap<Route, Option<Shape>>,
}

impl KnownReaders {
    /// Returns the shape of the function that reads tasks of `route` for a worker with `routes`;
    /// `None` if there is none. `schema` looks up the schema of the route's payloads.
    ///
    /// # Errors
    /// The schema cannot be looked up.
    pub(crate) fn reader<E>(
        &mut self,
        routes: &Routes,
        route: &Route,
        schema: impl FnOnce() -> Result<Option<Arc<[u8]>>, E>,
    ) -> Result<Option<Shape>, E> {
        let Routes::Read(worker) = routes else { return Ok(routes.reader(route, None)) };
        if let Some(asked) = self.0.iter().find(|asked| asked.is_of(worker))
            && let Some(answer) = asked.answers.get(route)
        {
            return Ok(*answer);
        }
        let schema = schema()?;
        let answer = worker.reader(route, schema.as_deref());
        // Without a schema, the answer may change as soon as one is stored.
        if schema.is_some() {
            self.asked(worker).answers.insert(route.clone(), answer);
        }
        Ok(answer)
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
    use crate::task::Kind;

    /// Reads every route with a schema, and counts the questions.
    #[derive(Debug, Default)]
    struct Counts(AtomicUsize);

    impl ReadsRoutes for Counts {
        fn reader(&self, _: &Route, schema: Option<&[u8]>) -> Option<Shape> {
            self.0.fetch_add(1, Ordering::Relaxed);
            schema.map(|_| Shape::from_bits(1))
        }
    }

    fn route(shape: u64) -> Route {
        Route::new(Kind::from_static("shop/send"), Shape::from_bits(shape))
    }

    fn read(
        readers: &mut KnownReaders,
        worker: &Arc<Counts>,
        shape: u64,
        schema: Option<&[u8]>,
    ) -> Option<Shape> {
        let routes = Routes::Read(Arc::clone(worker) as _);
        let Ok(answer) =
            readers.reader(&routes, &route(shape), || Ok::<_, Infallible>(schema.map(Arc::from)));
        answer
    }

    #[test]
    fn each_worker_is_asked_once_about_a_route() {
        let (mut readers, workers) = (KnownReaders::default(), [(); 2].map(|()| Arc::default()));
        for (worker, shape) in [(0, 7), (0, 7), (1, 7), (0, 8), (1, 7), (0, 7)] {
            let worker: &Arc<Counts> = &workers[worker];
            assert_eq!(read(&mut readers, worker, shape, Some(b"x")), Some(Shape::from_bits(1)));
        }
        assert_eq!(workers.map(|worker| worker.0.load(Ordering::Relaxed)), [2, 1]);
    }

    #[test]
    fn a_worker_is_asked_again_once_there_is_a_schema() {
        let (mut readers, worker) = (KnownReaders::default(), Arc::<Counts>::default());
        assert_eq!(read(&mut readers, &worker, 7, None), None);
        assert_eq!(read(&mut readers, &worker, 7, Some(b"x")), Some(Shape::from_bits(1)));
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
        let last = workers.last().unwrap();
        read(&mut readers, last, 7, Some(b"x"));
        assert_eq!(last.0.load(Ordering::Relaxed), 1, "the oldest answers are forgotten first");
    }

    #[test]
    fn routes_that_are_listed_read_their_own_shape() {
        let mut readers = KnownReaders::default();
        let only = Routes::Only(Arc::new(BTreeSet::from([route(7)])));
        let mut reader = |routes: &Routes, shape| {
            let none = || -> Result<_, Infallible> { unreachable!("nobody needs the schema") };
            let Ok(answer) = readers.reader(routes, &route(shape), none);
            answer.map(Shape::to_bits)
        };
        assert_eq!([reader(&only, 7), reader(&only, 8)], [Some(7), None]);
        assert_eq!(reader(&Routes::Any, 8), Some(8));
    }
}
