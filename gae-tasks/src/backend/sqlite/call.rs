//! A call of the writer: what is asked, as the caller sees it and as the writer does.

use tokio::sync::oneshot;

use super::connection::Durability;
use super::database::Database;
use super::error::{Fault, Problem};

/// An operation on the file that changes it.
pub(super) trait Request: Send + 'static {
    type Output: Send + 'static;

    /// What its commit must survive.
    const DURABILITY: Durability;

    /// How many tasks it is about.
    fn weight(&self) -> usize {
        1
    }

    /// Whether [`look`](Self::look) may have an answer.
    const MAY_REST: bool = false;

    /// The answer, if it can be told without writing. Only asked where no transaction is under way anyway.
    fn look(&self, _store: &mut Database) -> Result<Option<Self::Output>, Fault> {
        Ok(None)
    }

    /// Whether [`perform`](Self::perform) only adds to [`Database::fresh`], and needs nothing of what is in there.
    const ONLY_ADDS: bool = false;

    /// Does it, within a transaction; done again from the start if that is rolled back.
    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault>;

    /// Whether, with this answer, a task may have become due.
    fn wakes(_answer: &Self::Output) -> bool {
        false
    }
}

/// A call with its request's type forgotten.
pub(super) trait Work: Send {
    fn weight(&self) -> usize;
    fn only_adds(&self) -> bool;
    fn durability(&self) -> Durability;
    fn may_rest(&self) -> bool;
    fn look(&mut self, database: &mut Database) -> bool;
    fn perform(&mut self, database: &mut Database) -> Result<(), Fault>;
    fn fail(&mut self, problem: Problem);
    fn wakes(&self) -> bool;
    fn finish(self: Box<Self>);
}

/// A request on its way to the writer and, with its answer, back.
pub(super) struct Call<R: Request> {
    request: R,
    answer: Option<Result<R::Output, Problem>>,
    /// The caller gets all of it back, to free itself what it has allocated: across threads that is slow.
    reply: Option<oneshot::Sender<Box<Self>>>,
}

impl<R: Request> Call<R> {
    /// The call, and what its caller waits for.
    pub(super) fn new(request: R) -> (Box<Self>, oneshot::Receiver<Box<Self>>) {
        let (reply, answered) = oneshot::channel();
        (Box::new(Self { request, answer: None, reply: Some(reply) }), answered)
    }

    /// The answer; `None` if the writer never gave one.
    pub(super) fn into_answer(self) -> Option<Result<R::Output, Problem>> {
        self.answer
    }
}

impl<R: Request> Work for Call<R> {
    fn weight(&self) -> usize {
        self.request.weight()
    }

    fn only_adds(&self) -> bool {
        R::ONLY_ADDS
    }

    fn durability(&self) -> Durability {
        R::DURABILITY
    }

    fn may_rest(&self) -> bool {
        R::MAY_REST
    }

    fn look(&mut self, database: &mut Database) -> bool {
        self.answer = self.request.look(database).ok().flatten().map(Ok);
        self.answer.is_some()
    }

    fn perform(&mut self, database: &mut Database) -> Result<(), Fault> {
        self.answer = Some(Ok(self.request.perform(database)?));
        Ok(())
    }

    fn fail(&mut self, problem: Problem) {
        self.answer = Some(Err(problem));
    }

    fn wakes(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.as_ref().is_ok_and(R::wakes))
    }

    fn finish(mut self: Box<Self>) {
        if let Some(reply) = self.reply.take() {
            // A caller that no longer waits has dropped its future, which may or may not have happened.
            _ = reply.send(self);
        }
    }
}

impl std::fmt::Debug for dyn Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("weight", &self.weight()).finish_non_exhaustive()
    }
}
