//! The dead letters: each is read, struck off and deleted, as the operator of a queue does.

use anyhow::{Context, Result};
use gae_tasks::{Client, TaskFilter, TaskState};

use crate::ledger::Ledger;
use crate::mix::letter_number;

/// The number of dead letters that one call takes.
const PAGE: usize = 500;

/// Takes the stored dead letters.
pub(crate) async fn take(tasks: &Client, ledger: &Ledger) -> Result<()> {
    let dead = TaskFilter::new().state(TaskState::Dead);
    for letter in tasks.list(dead, None, PAGE).await.context("cannot list dead letters")? {
        let error = letter.errors.last().map_or("no error", |error| &error.message);
        match letter.spec.name.as_ref().and_then(|name| letter_number(name.as_str())) {
            Some(number) => ledger.died(number, error),
            None => ledger.problem(format!(
                "a task of the kind {} died, and was to work: {error}",
                letter.spec.kind
            )),
        }
        tasks.delete(letter.spec.id).await.context("cannot delete a dead letter")?;
    }
    Ok(())
}
