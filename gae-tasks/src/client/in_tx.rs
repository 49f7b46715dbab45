//! Stores tasks in a transaction of the caller's own.

use super::Client;
use crate::backend::CallersTransaction;
use crate::backend::transaction::{StoreInTx, home};
use crate::defer::{Defer, Prepared, judge};
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::{Deferred, TaskName};

/// The names that must be new, in the order of the tasks.
type NewNames = Vec<Option<(TaskName, QueueName)>>;

impl Client {
    /// Stores many tasks, of one type or several, in a transaction of the application, as
    /// [`Defer::in_tx`] stores one: all of them, or none.
    ///
    /// The iterator is read at once. The tasks are stored with this client, whatever their
    /// [`.on(..)`](Defer::on) says.
    ///
    /// # Errors
    /// As for `in_tx`; the error of the first task that is refused. None is stored then.
    ///
    /// ```
    /// use gae_tasks::{BoxError, Client, deferred};
    /// use rusqlite::{Connection, TransactionBehavior};
    ///
    /// #[deferred]
    /// async fn remind(user: i64) {}
    ///
    /// fn close_the_books(tasks: &Client, shop: &mut Connection) -> Result<(), BoxError> {
    ///     let tx = shop.transaction_with_behavior(TransactionBehavior::Immediate)?;
    ///     tx.execute("UPDATE invoices SET closed = 1", [])?;
    ///     tasks.defer_many_in_tx(&tx, [7, 8, 9].map(remind::defer))?;
    ///     Ok(tx.commit()?)
    /// }
    /// ```
    pub fn defer_many_in_tx<T: CallersTransaction>(
        &self,
        tx: T,
        tasks: impl IntoIterator<Item = Defer>,
    ) -> T::Answer<Vec<Deferred>> {
        let (order, names) = split(self.order("defer_many_in_tx", tasks));
        tx.store(order, |answers| judged(answers, names).collect())
    }

    pub(crate) fn defer_in_tx<T: CallersTransaction>(
        &self,
        task: Defer,
        tx: T,
    ) -> T::Answer<Deferred> {
        let (order, names) = split(self.order("in_tx", [task]));
        let backend = self.capabilities().backend;
        tx.store(order, move |answers| {
            judged(answers, names).next().unwrap_or_else(|| {
                let problem = "returned no answer for the task";
                Err(Error::storage(backend, problem, "no answer"))
            })
        })
    }

    fn order(
        &self,
        call: &'static str,
        tasks: impl IntoIterator<Item = Defer>,
    ) -> Result<(StoreInTx, NewNames), Error> {
        let capabilities = self.capabilities();
        if self.is_inline() {
            let problem = "stores nothing: this client runs tasks where they are deferred (inline \
                           mode), and not in an open transaction; use a client with a worker";
            return Err(Error::in_transaction(call, problem.to_owned()));
        }
        let home = home(capabilities.home.as_ref(), capabilities.backend, call)?;
        let (mut names, mut new) = (Vec::new(), Vec::new());
        for task in tasks {
            let prepared = task.prepare(self)?;
            self.check_not_spilled(call, &prepared)?;
            names.push(prepared.new_name());
            new.push(prepared.task);
        }
        Ok((StoreInTx { call, home, now: self.now(), tasks: new }, names))
    }

    /// Checks that the payload of a task is stored with the task.
    fn check_not_spilled(&self, call: &'static str, prepared: &Prepared) -> Result<(), Error> {
        let task = &prepared.task;
        if !self.spills(task) {
            return Ok(());
        }
        let problem = format!(
            "cannot store the payload of `{}`: its {} bytes would go to the payload store, which \
             takes no part in the transaction; raise `.inline_payload(..)` (the `{}` backend \
             stores up to {} bytes), or store the data in \
             a table of the application and defer its key",
            task.spec.kind,
            task.payload.len(),
            self.capabilities().backend,
            self.capabilities().max_payload
        );
        Err(Error::in_transaction(call, problem))
    }
}

fn split(order: Result<(StoreInTx, NewNames), Error>) -> (Result<StoreInTx, Error>, NewNames) {
    match order {
        Ok((order, names)) => (Ok(order), names),
        Err(error) => (Err(error), NewNames::new()),
    }
}

fn judged(
    answers: Vec<Deferred>,
    names: NewNames,
) -> impl Iterator<Item = Result<Deferred, Error>> {
    answers.into_iter().zip(names).map(|(answer, name)| judge(answer, name))
}
