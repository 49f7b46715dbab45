//! Leasing due tasks: one statement scans what waits, another one takes a round of turns.

mod gates;
mod learn;
mod pass;
mod repair;
mod take;
mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::turns::Leasing;
use super::choice::Choice;
use super::error::Fault;
use super::guess::Guess;
use super::looks::Look;
use super::shared::Shared;
use super::work::Work;
use crate::backend::readers::{Answer, Question};
use crate::backend::{Lease, Leased, Standing};
use crate::time::Now;

/// How soon to look again where tasks are due that could not be taken: others have just locked
/// them, to take or to change them.
const SOON: Duration = Duration::from_millis(20);

/// How often one lease takes from what a scan has found.
const MOST_SCANS: usize = 4;

pub(super) async fn lease(
    shared: Arc<Shared>,
    request: Lease,
    answers: Vec<Answer>,
) -> Result<Result<Leased, Vec<Question>>, Fault> {
    shared.catalogue.learn_readers(&request.routes, &answers);
    match lease_once(&shared, &request).await {
        Err(fault) if repair::is_needed(&fault) => {
            repair::repair(&shared).await?;
            lease_once(&shared, &request).await
        }
        // The connection led to the former server.
        Err(Fault::Moved) => lease_once(&shared, &request).await,
        leased => leased,
    }
}

async fn lease_once(
    shared: &Shared,
    request: &Lease,
) -> Result<Result<Leased, Vec<Question>>, Fault> {
    let mut work = shared.database.connection().await?;
    let mut leasing = Leasing::new(shared, request);
    let answer = match take_due(shared, &mut work, request, &mut leasing).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(questions)) => return Ok(Err(questions)),
        // What was taken is committed, unless it was in a transaction with other statements. The
        // connection may be broken: nobody has it next.
        Err(fault) if !leasing.is_empty() && !is_in_transaction(shared, &leasing) => {
            shared.database.heed(&fault);
            return Ok(Ok(leasing.leased(Some(SOON), false, false)));
        }
        Err(fault) => return Err(fault),
    };
    work.commit().await?;
    Ok(Ok(leasing.leased(answer.next, answer.isolated, answer.held_back)))
}

/// Whether a fault takes back what was taken.
fn is_in_transaction(shared: &Shared, leasing: &Leasing<'_>) -> bool {
    shared.database.is_pooled() || leasing.is_uncertain()
}

/// What a lease answers beside its tasks.
struct Answered {
    next: Option<Duration>,
    isolated: bool,
    held_back: bool,
}

/// Has the worker ask again at once.
const AT_ONCE: Answered =
    Answered { next: Some(Duration::ZERO), isolated: false, held_back: false };

/// Takes what is guessed, or what the last scan has found, if it can be used again, or else what
/// scans find now.
async fn take_due(
    shared: &Shared,
    work: &mut Work,
    request: &Lease,
    leasing: &mut Leasing<'_>,
) -> Result<Result<Answered, Vec<Question>>, Fault> {
    if let Some(answered) = take_guessed(shared, work, request, leasing).await? {
        return Ok(Ok(answered));
    }
    if let Some(mut look) = shared.looks.recall(request) {
        let isolated = leaves_isolated(request, &look.choice);
        let pass = leasing.take(work, &mut look.choice).await?;
        if pass.has_taken() && asks_again(request) {
            let held_back = leasing.holds_back(&look.choice);
            found(shared, work, request, leasing, look.choice.changes);
            shared.looks.keep(request, look);
            return Ok(Ok(Answered { isolated, held_back, ..AT_ONCE }));
        }
    }
    let (mut scans, mut isolated) = (0, false);
    loop {
        scans += 1;
        let (mut look, questions) = look(shared, work, request).await?;
        if !questions.is_empty() && leasing.is_empty() {
            return Ok(Err(questions));
        }
        isolated |= leaves_isolated(request, &look.choice);
        if look.choice.is_empty() {
            shared.guesses.found_nothing(request);
        }
        let pass = leasing.take(work, &mut look.choice).await?;
        if pass.has_taken() && asks_again(request) {
            let held_back = leasing.holds_back(&look.choice);
            found(shared, work, request, leasing, look.choice.changes);
            shared.looks.keep(request, look);
            return Ok(Ok(Answered { isolated, held_back, ..AT_ONCE }));
        }
        if !pass.has_taken() || scans >= MOST_SCANS {
            let mut answered = answered(request, leasing, &look);
            // What the worker must be asked about is left to its next lease.
            if pass.leaves_due() || !questions.is_empty() || scans >= MOST_SCANS {
                answered.next = Some(answered.next.map_or(SOON, |next| next.min(SOON)));
            }
            shared.looks.keep(request, look);
            return Ok(Ok(Answered { isolated, ..answered }));
        }
    }
}

/// Takes one task from where the last one was found, if nothing was due since.
async fn take_guessed(
    shared: &Shared,
    work: &mut Work,
    request: &Lease,
    leasing: &mut Leasing<'_>,
) -> Result<Option<Answered>, Fault> {
    if !asks_again(request) {
        return Ok(None);
    }
    let epoch = shared.catalogue.epoch_of(work)?;
    let Some(mut guess) = shared.guesses.guess(request, epoch) else { return Ok(None) };
    guess.source.first = shared.floors.raise(epoch, guess.source.head()).place();
    if !leasing.take_one(work, &guess).await? {
        return Ok(None);
    }
    found(shared, work, request, leasing, guess.changes);
    Ok(Some(AT_ONCE))
}

/// Whether the worker may be told to ask again at once for what is left, so that it need not wait
/// for another scan before its tasks start. A worker with a clock of its own would ask for the same
/// moment.
fn asks_again(request: &Lease) -> bool {
    request.now == Now::Storage
}

fn found(shared: &Shared, work: &Work, request: &Lease, leasing: &Leasing<'_>, changes: i64) {
    if let (Ok(epoch), Some(last)) = (shared.catalogue.epoch_of(work), leasing.last()) {
        let guess = Guess { epoch, changes, source: last.clone() };
        shared.guesses.found(request, guess);
    }
}

fn answered(request: &Lease, leasing: &Leasing<'_>, look: &Look) -> Answered {
    let next = look.choice.next().map(|next| next.since(look.until));
    Answered {
        next: next.into_iter().chain(leasing.next()).min(),
        isolated: leaves_isolated(request, &look.choice),
        held_back: leasing.holds_back(&look.choice),
    }
}

/// Scans what waits, and chooses what the worker may take.
async fn look(
    shared: &Shared,
    work: &mut Work,
    request: &Lease,
) -> Result<(Look, Vec<Question>), Fault> {
    let begun = Instant::now();
    let epoch = shared.catalogue.epoch_of(work).ok();
    let scan = shared.floors.scan(&shared.database, work, epoch, request.now).await?;
    learn::learn(shared, work, request, &scan).await?;
    let (choice, questions) = Choice::new(&shared.catalogue, request, &scan);
    Ok((Look::new(request, choice, scan.now.plus(request.ahead), begun), questions))
}

/// Whether a due isolated task is left because there are other suspects.
fn leaves_isolated(request: &Lease, choice: &Choice) -> bool {
    request.room.in_company && choice.watched(Standing::Isolated).next().is_some()
}
