//! Calls of the writer: the request, as the caller sees it and as the writer sees it.

use std::time::{Duration, Instant};

use super::connection::Durability;
use super::database::Database;
use super::error::{Fault, Problem};
use super::reply::{Answered, Reply, channel};

/// An operation that changes the file.
pub(super) trait Request: Send + 'static {
    type Output: Send + 'static;

    /// What the operation's commit must survive.
    const DURABILITY: Durability;

    /// Returns how many tasks the request concerns.
    fn weight(&self) -> usize {
        1
    }

    /// Whether [`look`](Self::look) may return an answer.
    const MAY_REST: bool = false;

    /// Returns the answer if nothing has to be written. Called only while no transaction is under
    /// way.
    fn look(&self, _store: &mut Database) -> Result<Option<Self::Output>, Fault> {
        Ok(None)
    }

    /// Whether [`perform`](Self::perform) only adds to [`Database::fresh`], and reads none of its
    /// content.
    const ONLY_ADDS: bool = false;

    /// Performs the request within a transaction; called again from the start if the transaction is
    /// rolled back.
    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault>;

    /// Whether a task may have become due with this answer.
    fn wakes(_answer: &Self::Output) -> bool {
        false
    }
}

/// A call without the type of its request.
pub(super) trait Work: Send {
    fn weight(&self) -> usize;
    fn only_adds(&self) -> bool;
    fn durability(&self) -> Durability;
    fn may_rest(&self) -> bool;
    fn look(&mut self, database: &mut Database) -> bool;
    fn perform(&mut self, database: &mut Database) -> Result<(), Fault>;
    /// Returns for how long the caller has been waiting.
    fn age(&self) -> Duration;
    fn fail(&mut self, problem: Problem);
    fn announce(&self);
    fn wakes(&self) -> bool;
    fn finish(self: Box<Self>);
}

/// A request on its way to the writer and, with its answer, back.
pub(super) struct Call<R: Request> {
    request: R,
    since: Instant,
    answer: Option<Result<R::Output, Problem>>,
    /// The whole call goes back to the caller, which frees its own allocations: freeing across
    /// threads is slow.
    reply: Option<Reply<Box<Self>>>,
}

impl<R: Request> Call<R> {
    /// Creates a call, and the end on which its caller waits.
    pub(super) fn new(request: R) -> (Box<Self>, Answered<Box<Self>>) {
        let (reply, answered) = channel();
        (
            Box::new(Self { request, since: Instant::now(), answer: None, reply: Some(reply) }),
            answered,
        )
    }

    /// Returns the answer; `None` if the writer never gave one.
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

    fn age(&self) -> Duration {
        self.since.elapsed()
    }

    fn fail(&mut self, problem: Problem) {
        self.answer = Some(Err(problem));
    }

    fn announce(&self) {
        if let Some(reply) = &self.reply {
            reply.announce();
        }
    }

    fn wakes(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.as_ref().is_ok_and(R::wakes))
    }

    fn finish(mut self: Box<Self>) {
        if let Some(reply) = self.reply.take() {
            // A caller that no longer waits has dropped its future; whether the operation happened
            // is then unknown to it.
            reply.send(self);
        }
    }
}

impl std::fmt::Debug for dyn Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("weight", &self.weight()).finish_non_exhaustive()
    }
}
