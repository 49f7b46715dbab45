//! Leasing due tasks: one statement scans what waits, another one takes a round of turns.

mod learn;
mod repair;
mod take;
mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use self::turns::Leasing;
use super::choice::Choice;
use super::error::Fault;
use super::looks::Look;
use super::scan::scan;
use super::shared::Shared;
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
        leased => leased,
    }
}

async fn lease_once(
    shared: &Shared,
    request: &Lease,
) -> Result<Result<Leased, Vec<Question>>, Fault> {
    let mut connection = shared.database.connection().await?;
    let mut leasing = Leasing::new(shared, request);
    let answer = match take_due(shared, &mut connection, request, &mut leasing).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(questions)) => return Ok(Err(questions)),
        // What was taken is committed, unless all statements are in one transaction.
        Err(fault) if !leasing.is_empty() && !shared.database.is_pooled() => {
            shared.database.heed(&fault);
            Answered { next: Some(SOON), isolated: false }
        }
        Err(fault) => return Err(fault),
    };
    connection.commit().await?;
    Ok(Ok(leasing.leased(answer.next, answer.isolated)))
}

/// What a lease answers beside its tasks.
struct Answered {
    next: Option<Duration>,
    isolated: bool,
}

/// Takes what is guessed, or what the last scan has found, if it can be used again, or else what
/// scans find now.
async fn take_due(
    shared: &Shared,
    connection: &mut PgConnection,
    request: &Lease,
    leasing: &mut Leasing<'_>,
) -> Result<Result<Answered, Vec<Question>>, Fault> {
    if let Some(answered) = take_guessed(shared, connection, request, leasing).await? {
        return Ok(Ok(answered));
    }
    if let Some(mut look) = shared.looks.recall(request) {
        leasing.take(connection, &mut look.choice).await?;
        if leasing.is_full() {
            let answered = answered(request, &look);
            shared.looks.keep(request, look);
            return Ok(Ok(answered));
        }
    }
    let (mut scans, mut isolated) = (0, false);
    loop {
        scans += 1;
        let (mut look, questions) = look(shared, connection, request).await?;
        if !questions.is_empty() && leasing.is_empty() {
            return Ok(Err(questions));
        }
        isolated |= leaves_isolated(request, &look.choice);
        if look.choice.is_empty() {
            shared.guesses.found_nothing(request);
        }
        let pass = leasing.take(connection, &mut look.choice).await?;
        if pass.has_taken() && asks_again(request) {
            found(shared, request, leasing, &look.choice);
            shared.looks.keep(request, look);
            return Ok(Ok(Answered { next: Some(Duration::ZERO), isolated }));
        }
        let is_enough = leasing.is_full() && !look.is_cheap(request);
        if !pass.may_go_on() || is_enough || scans >= MOST_SCANS {
            let mut answered = answered(request, &look);
            // What the worker must be asked about is left to its next lease.
            if pass.leaves_due() || !questions.is_empty() || scans >= MOST_SCANS {
                answered.next = Some(answered.next.map_or(SOON, |next| next.min(SOON)));
            }
            shared.looks.keep(request, look);
            return Ok(Ok(Answered { isolated, ..answered }));
        }
    }
}

/// Takes from where the last task was found, if nothing was due since.
async fn take_guessed(
    shared: &Shared,
    connection: &mut PgConnection,
    request: &Lease,
    leasing: &mut Leasing<'_>,
) -> Result<Option<Answered>, Fault> {
    if !asks_again(request) {
        return Ok(None);
    }
    let guess = shared.guesses.choice(request).filter(|guess| {
        // The lane may have been that of another server.
        guess.queues.iter().flatten().all(|source| shared.catalogue.is_stored(source.lane.id))
    });
    let Some(mut choice) = guess else { return Ok(None) };
    let pass = leasing.take(connection, &mut choice).await?;
    if !pass.has_taken() {
        return Ok(None);
    }
    found(shared, request, leasing, &choice);
    Ok(Some(Answered { next: Some(Duration::ZERO), isolated: false }))
}

/// Whether the worker may be told to ask again at once for what is left, so that it need not wait
/// for another scan before its tasks start. A worker with a clock of its own would ask for the same
/// moment.
fn asks_again(request: &Lease) -> bool {
    request.now == Now::Storage
}

fn found(shared: &Shared, request: &Lease, leasing: &Leasing<'_>, choice: &Choice) {
    if let Some(last) = leasing.last() {
        shared.guesses.found(request, choice.changes, last.clone());
    }
}

fn answered(request: &Lease, look: &Look) -> Answered {
    let next = look.choice.next().map(|next| next.since(look.until));
    Answered { next, isolated: leaves_isolated(request, &look.choice) }
}

/// Scans what waits, and chooses what the worker may take.
async fn look(
    shared: &Shared,
    connection: &mut PgConnection,
    request: &Lease,
) -> Result<(Look, Vec<Question>), Fault> {
    let begun = Instant::now();
    let scan = scan(&shared.database, connection, request.now).await?;
    learn::learn(shared, connection, request, &scan).await?;
    let (choice, questions) = Choice::new(&shared.catalogue, request, &scan);
    Ok((Look::new(request, choice, scan.now.plus(request.ahead), begun), questions))
}

/// Whether a due isolated task is left because there are other suspects.
fn leaves_isolated(request: &Lease, choice: &Choice) -> bool {
    request.room.in_company && choice.watched(Standing::Isolated).next().is_some()
}
