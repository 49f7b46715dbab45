//! Takes due tasks: first those that have lost leases, then clear ones by the turns of their
//! queues.

use std::collections::VecDeque;
use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::gates::{self, Gates, Opening, Share};
use super::pass::Pass;
use super::take::{Ask, Taken, Terms, take};
use crate::backend::haul::{Haul, MAX_LEASED_BYTES, turn_length};
use crate::backend::postgres::choice::{Choice, Source};
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::guess::Guess;
use crate::backend::postgres::shared::Shared;
use crate::backend::postgres::work::Work;
use crate::backend::{Lease, Leased, Standing};
use crate::time::Timestamp;

/// The tasks that a lease has taken, and where it has found no more.
pub(super) struct Leasing<'a> {
    shared: &'a Shared,
    request: &'a Lease,
    haul: Haul,
    gates: Gates,
    bytes: usize,
    /// Where the last clear task was found.
    last: Option<Source>,
}

/// A queue whose turn it is.
struct Turn {
    /// The queue's place in the choice.
    place: usize,
    most: usize,
    /// Whether it is for tasks that were made due by hand only.
    of_forced: bool,
}

impl<'a> Leasing<'a> {
    pub(super) fn new(shared: &'a Shared, request: &'a Lease) -> Self {
        let (haul, gates) = (Haul::new(request), Gates::closed(shared, request, 0));
        Self { shared, request, haul, gates, bytes: 0, last: None }
    }

    /// Whether nothing was taken yet.
    pub(super) fn is_empty(&self) -> bool {
        self.haul.tasks().is_empty()
    }

    /// Whether there is no room for another task.
    fn is_full(&self) -> bool {
        self.haul.room(Standing::Clear) == 0
    }

    /// Returns where the last clear task was found; the next one is behind it.
    pub(super) const fn last(&self) -> Option<&Source> {
        self.last.as_ref()
    }

    /// Whether it is not certain that what was taken is leased: the transaction may not have ended.
    pub(super) const fn is_uncertain(&self) -> bool {
        self.gates.are_begun()
    }

    /// Returns how long until a queue with limits may give more, as far as the answer does not know
    /// that.
    pub(super) const fn next(&self) -> Option<Duration> {
        self.gates.next()
    }

    /// Whether tasks of a choice are left only because no more runners are free.
    pub(super) fn holds_back(&self, choice: &Choice) -> bool {
        choice.limited().any(|(source, _)| gates::holds_back(&self.haul, source))
    }

    /// Returns the answer.
    pub(super) fn leased(self, next: Option<Duration>, isolated: bool, held_back: bool) -> Leased {
        let retry_of = |queue: &_| {
            let config = self.shared.catalogue.config(queue).ok();
            config.and_then(|config| config.own_retry().cloned())
        };
        Leased { isolated, held_back, ..self.haul.leased(next, retry_of) }
    }

    /// Takes from a choice, as far as there is room.
    pub(super) async fn take(
        &mut self,
        work: &mut Work,
        choice: &mut Choice,
    ) -> Result<Pass, Fault> {
        let mut pass = Pass::default();
        self.open_gates(work, choice).await?;
        for standing in [Standing::Isolated, Standing::Suspect, Standing::Marked] {
            self.take_watched(work, choice, standing, &mut pass).await?;
        }
        self.take_turns(work, choice, &mut pass).await?;
        self.gates.close(self.shared, work, &self.haul, pass.has_asked()).await?;
        Ok(pass)
    }

    async fn open_gates(&mut self, work: &mut Work, choice: &Choice) -> Result<(), Fault> {
        let (shared, request) = (self.shared, self.request);
        self.gates = Gates::closed(shared, request, choice.changes);
        if !choice.has_limits() || !self.haul.obeys_limits() {
            return Ok(());
        }
        let (haul, gates) = (&mut self.haul, &mut self.gates);
        Opening { shared, work, request, haul, gates }.open(choice).await
    }

    /// Takes one clear task, where it is guessed to be. Returns whether it was there.
    pub(super) async fn take_one(
        &mut self,
        connection: &mut PgConnection,
        guess: &Guess,
    ) -> Result<bool, Fault> {
        let source = &guess.source;
        let of_source = self.gates.room_of(&self.haul, source);
        if self.haul.room(Standing::Clear).min(of_source) == 0 {
            return Ok(false);
        }
        let asks = [Ask { source, queue: 0, turn: 0, most: 1 }];
        let terms = self.terms(guess.changes, 1, 1, false);
        let taken = self.ask(connection, &asks, &terms).await?;
        self.note_last(&asks, &taken);
        self.add(taken);
        Ok(!self.is_empty())
    }

    /// Remembers where the last clear task was found, but not in queues with limits: nothing may be
    /// taken there by a guess.
    fn note_last(&mut self, asks: &[Ask<'_>], taken: &Taken) {
        let is_meant = |(ask, _): &&(usize, _)| asks[*ask].source.limits.is_none();
        let Some((ask, _)) = taken.tasks.iter().rfind(is_meant) else { return };
        let source = asks[*ask].source.clone();
        self.last = Some(Source { first: taken.ends[*ask].unwrap_or(source.first), ..source });
    }

    /// Takes tasks of one standing, whatever their queues.
    ///
    /// Those of queues with limits come out of the free runners, as all do that are watched. So
    /// while there are any, no more are taken at a time than runners are free; and one by one if
    /// some were made due by hand, which take no tokens.
    async fn take_watched(
        &mut self,
        connection: &mut PgConnection,
        choice: &Choice,
        standing: Standing,
        pass: &mut Pass,
    ) -> Result<(), Fault> {
        loop {
            let room = self.haul.room(standing);
            let asks = self.watched(choice, standing, room);
            if asks.is_empty() {
                return Ok(());
            }
            let is_gated = asks.iter().any(|ask| gates::is_limited(&self.haul, ask.source));
            let total = match is_gated {
                true if asks.iter().any(|ask| ask.source.is_forced()) => 1,
                true => room.min(self.haul.startable()),
                false => room,
            };
            let alone = self.request.room.isolates(standing);
            let terms = self.terms(choice.changes, usize::MAX, total, alone);
            let taken = self.ask(connection, &asks, &terms).await?;
            let is_over = !is_gated || taken.tasks.len() < total;
            pass.note(taken.tasks.len());
            self.add(taken);
            if is_over {
                return Ok(());
            }
        }
    }

    /// Returns what is asked of the sources of one standing.
    fn watched<'c>(&self, choice: &'c Choice, standing: Standing, room: usize) -> Vec<Ask<'c>> {
        let mut asks: Vec<Ask<'_>> = Vec::new();
        for source in choice.watched(standing) {
            let most = room.min(self.gates.room_of(&self.haul, source));
            let of_queue = asks
                .iter()
                .find(|ask| ask.source.lane.turn == source.lane.turn)
                .map(|ask| ask.queue);
            if most > 0 {
                let queue = of_queue.unwrap_or(asks.len());
                asks.push(Ask { source, queue, turn: 0, most });
            }
        }
        asks
    }

    /// Takes clear tasks by the turns of their queues, until there is no more room or no task is
    /// due.
    async fn take_turns(
        &mut self,
        connection: &mut PgConnection,
        choice: &mut Choice,
        pass: &mut Pass,
    ) -> Result<(), Fault> {
        let mut line = self.line(choice);
        let length = turn_length(self.haul.room(Standing::Clear), line.len());
        loop {
            let room = self.haul.room(Standing::Clear);
            let turns = self.next_turns(choice, &mut line, length, room);
            if turns.is_empty() {
                return Ok(());
            }
            let asks = self.asks(choice, &turns);
            let terms = self.terms(choice.changes, length, room, false);
            let taken = self.ask(connection, &asks, &terms).await?;
            pass.note(taken.tasks.len());
            let mut counts = vec![0; turns.len()];
            taken.tasks.iter().for_each(|(ask, _)| counts[asks[*ask].queue] += 1);
            let ends = taken.ends.clone();
            self.note_last(&asks, &taken);
            self.add(taken);
            go_on(choice, &turns, ends);
            let is_cut = self.is_full();
            for (Turn { place, most, .. }, count) in turns.iter().zip(counts) {
                if count >= *most {
                    line.push_back(*place);
                }
                if count < *most && !is_cut {
                    choice.queues[*place].clear();
                }
            }
        }
    }

    /// Returns the places of the queues that may give tasks, in the order of turns.
    fn line(&self, choice: &Choice) -> VecDeque<usize> {
        let turn = |sources: &Vec<Source>| sources.first().map(|source| source.lane.turn);
        let last = self.request.last_turn.as_ref();
        let last = last.and_then(|last| self.shared.catalogue.turn_of(last));
        let may_give = |sources: &Vec<Source>| self.gates.share(&self.haul, sources).most > 0;
        let queues = choice.queues.iter().enumerate().filter(|(_, sources)| may_give(sources));
        let mut line: VecDeque<_> = queues.map(|(place, _)| place).collect();
        let next = line.partition_point(|place| {
            last.is_some_and(|last| turn(&choice.queues[*place]) <= Some(last))
        });
        line.rotate_left(next);
        line
    }

    /// Returns the queues that fill the room with their next turns: if all queues together cannot,
    /// each has several turns.
    fn next_turns(
        &self,
        choice: &Choice,
        line: &mut VecDeque<usize>,
        length: usize,
        room: usize,
    ) -> Vec<Turn> {
        let each = match choice.has_limits() {
            true => length,
            false => length.saturating_mul((room / (length * line.len()).max(1)).max(1)).min(room),
        };
        let (mut turns, mut asked, mut startable) = (Vec::new(), 0, self.haul.startable());
        while asked < room
            && let Some(place) = line.pop_front()
        {
            let sources = &choice.queues[place];
            let Share { most, of_forced } = self.gates.share(&self.haul, sources);
            let most = most.min(each);
            if sources.first().is_some_and(|source| gates::is_limited(&self.haul, source)) {
                // How many runners are left for it is known once the others have got theirs.
                if most > startable {
                    line.push_front(place);
                    break;
                }
                startable -= most;
            }
            if most > 0 {
                asked += most;
                turns.push(Turn { place, most, of_forced });
            }
        }
        turns
    }

    /// Returns what is asked of each source of the queues whose turn it is.
    fn asks<'c>(&self, choice: &'c Choice, turns: &[Turn]) -> Vec<Ask<'c>> {
        let mut asks = Vec::new();
        for (queue, Turn { place, most, of_forced }) in turns.iter().enumerate() {
            for source in &choice.queues[*place] {
                let most = if *of_forced && !source.is_forced() { 0 } else { *most };
                asks.push(Ask { source, queue, turn: queue, most });
            }
        }
        asks
    }

    fn terms(&self, changes: i64, length: usize, total: usize, alone: bool) -> Terms {
        let bytes = MAX_LEASED_BYTES.saturating_sub(self.bytes);
        let (holder, now) = (self.shared.presence.holder(), self.gates.now(self.request));
        Terms { now, changes, length, total, bytes, alone, holder }
    }

    async fn ask(
        &self,
        connection: &mut PgConnection,
        asks: &[Ask<'_>],
        terms: &Terms,
    ) -> Result<Taken, Fault> {
        take(&self.shared.database, connection, self.request, asks, terms).await
    }

    fn add(&mut self, taken: Taken) {
        for (_, task) in taken.tasks {
            self.bytes = self.bytes.saturating_add(task.payload.len());
            self.haul.add(task);
        }
    }
}

/// Remembers where the tasks that were taken end: `ends` has the end of each ask.
fn go_on(choice: &mut Choice, turns: &[Turn], ends: Vec<Option<(Timestamp, Uuid)>>) {
    let mut ends = ends.into_iter();
    for Turn { place, .. } in turns {
        for source in &mut choice.queues[*place] {
            source.first = ends.next().flatten().unwrap_or(source.first);
        }
    }
}
