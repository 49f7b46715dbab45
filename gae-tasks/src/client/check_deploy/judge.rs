//! Decides what becomes of the tasks of a route: by its schema, then by its payloads.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Client;
use super::report::{DeployRoute, DeployValues, DeployVerdict};
use super::spilled::{Fetched, InStore};
use crate::attributes::Attributes;
use crate::backend::{RouteStats, Sampled, Stats, TaskRecord, TaskState};
use crate::payload::{CannotRead, Reading};
use crate::registration::Registration;
use crate::task::{Route, Shape};
use crate::unwind;

/// The reason for a task that cannot be opened.
const CLOSED: &str = "the stored task is damaged, or a newer version of gae-tasks stored it";

/// What is stored for a route, and the function that it is for.
pub(super) struct Stored {
    schema: Option<Arc<[u8]>>,
    function: Option<&'static Registration>,
}

/// Decides by the schema that is stored for the route.
pub(super) fn judge_route(
    client: &Client,
    line: RouteStats,
    schema: Option<Arc<[u8]>>,
) -> (DeployRoute, Stored) {
    let function = client.registry().by_kind(line.route.kind().as_str());
    let stored = Stored { schema, function };
    let verdict = match problem(client, &line, &stored) {
        Some(reason) => DeployVerdict::Strands { reason },
        None => stored.verdict(client, &line.route),
    };
    let RouteStats { queue, route, stats, .. } = line;
    (DeployRoute { queue, route, stats, verdict, values: DeployValues::default() }, stored)
}

/// Why this program cannot run the tasks, whatever their parameters are.
fn problem(client: &Client, line: &RouteStats, stored: &Stored) -> Option<String> {
    let Some(function) = stored.function else {
        let (kind, shape) = (line.route.kind().as_str(), line.route.shape());
        return Some(client.registry().explain_unroutable(kind, shape, None));
    };
    if line.is_newer {
        return Some(
            "a newer version of gae-tasks stored them, or the configuration of their queue cannot \
             be read: update gae-tasks, or store the configuration again with `put_queue` if it is \
             damaged"
                .to_owned(),
        );
    }
    let missing = client.0.registry.missing_states(function, &client.0.states);
    (!missing.is_empty()).then(|| missing.join("; "))
}

impl Stored {
    /// What the schemas say. Where schemas travel with the tasks, none is known yet.
    fn verdict(&self, client: &Client, route: &Route) -> DeployVerdict {
        match self.reading(route) {
            Err(CannotRead::NotStored) if !client.capabilities().pull => DeployVerdict::Unread,
            reading => self.verdict_of(&reading),
        }
    }

    fn verdict_of(&self, reading: &Result<Reading, CannotRead>) -> DeployVerdict {
        let upgrades = |number: usize, by_name| {
            let function = self.function.and_then(|function| function.upgrades.get(number));
            DeployVerdict::Upgrades { upgrade: function.map_or("", |it| it.name), by_name }
        };
        match reading {
            Ok(Reading::Own) => DeployVerdict::Runs,
            Ok(Reading::ByName(_)) => DeployVerdict::Resolves,
            Ok(Reading::Upgrade(number)) => upgrades(*number, false),
            Ok(Reading::UpgradeByName(number, _)) => upgrades(*number, true),
            Err(why) => strands(why),
        }
    }

    fn reading(&self, route: &Route) -> Result<Reading, CannotRead> {
        let function = self.function.ok_or(CannotRead::NotStored)?;
        function.reading(route.shape(), self.schema.as_deref())
    }
}

fn strands(why: impl ToString) -> DeployVerdict {
    DeployVerdict::Strands { reason: why.to_string() }
}

/// Some tasks of a route.
pub(super) enum Values<'a> {
    /// Of which only the schemas count.
    Unread(&'a Sampled),
    /// Whose payloads are read, also those that are in a payload store.
    Read(&'a Sampled, InStore),
}

/// Decides by the payloads that were read, or only by a schema that travels with them.
pub(super) fn judge_values(route: &mut DeployRoute, stored: &mut Stored, values: &Values<'_>) {
    let (Values::Unread(sampled) | Values::Read(sampled, _)) = values;
    if matches!(route.verdict, DeployVerdict::Unread) && !learn(route, stored, sampled) {
        return;
    }
    let Some(function) = stored.function else { return };
    // A reading that all payloads of the schema refuse gives way to the next: there are as many as
    // upgrades, twice, and the function's own.
    for _ in 0..=2 * function.upgrades.len() + 1 {
        let reading = stored.reading(&route.route);
        route.verdict = stored.verdict_of(&reading);
        let (Ok(reading), Values::Read(_, in_store)) = (reading, values) else { return };
        let values = read_all(function, &reading, route.route.shape(), sampled, in_store);
        match reading.refused() {
            None => return route.values = values,
            Some(refused) => route.verdict = strands(refused),
        }
    }
}

/// Finds the schema that travels with the tasks of a route; returns whether there is one.
fn learn(route: &mut DeployRoute, stored: &mut Stored, sampled: &Sampled) -> bool {
    let schemas = || sampled.records.iter().filter_map(|record| record.schema.as_ref());
    let is_its = |schema: &&Arc<[u8]>| Shape::of_schema(schema) == route.route.shape();
    stored.schema = schemas().find(is_its).or_else(|| schemas().next()).cloned();
    if stored.schema.is_some() {
        return true;
    }
    match (sampled.records.is_empty(), sampled.unreadable.is_empty()) {
        // The tasks have ended since they were counted.
        (true, true) => route.stats = Stats::default(),
        (true, false) => route.verdict = strands(CLOSED),
        _ => route.verdict = strands(CannotRead::NotStored),
    }
    false
}

/// Reads all payloads.
fn read_all(
    function: &Registration,
    reading: &Reading,
    shape: Shape,
    sampled: &Sampled,
    in_store: &InStore,
) -> DeployValues {
    let (mut values, mut reasons) = (DeployValues::default(), BTreeMap::new());
    let mut note = |state, reason: String| {
        *if state == TaskState::Dead { &mut values.failed_dead } else { &mut values.failed } += 1;
        *reasons.entry(reason).or_insert(0) += 1;
    };
    let (mut unread, mut store_failed) = (BTreeMap::new(), false);
    for (place, record) in sampled.records.iter().enumerate() {
        let payload = match in_store.get(&place) {
            None => record.payload.as_deref(),
            Some(Fetched::Payload(payload)) => Some(&**payload),
            Some(Fetched::Done) => continue,
            Some(Fetched::Lost(reason)) => {
                note(record.state, reason.clone());
                continue;
            }
            Some(Fetched::Unread(reason)) => {
                *unread.entry(reason.clone()).or_insert(0) += 1;
                continue;
            }
            Some(Fetched::Unavailable(reason)) => {
                *unread.entry(reason.clone()).or_insert(0) += 1;
                store_failed |= record.state != TaskState::Dead;
                continue;
            }
        };
        if let Err(reason) = read(function, reading, shape, record, payload) {
            note(record.state, reason);
        }
    }
    sampled.unreadable.iter().for_each(|state| note(*state, CLOSED.to_owned()));
    let (reasons, unread) = (sorted(reasons), sorted(unread));
    let not_read = unread.iter().map(|(_, count)| count).sum::<u64>();
    DeployValues { read: sampled.len() as u64 - not_read, reasons, unread, store_failed, ..values }
}

/// The most frequent first.
fn sorted(reasons: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| Reverse(*count));
    reasons
}

/// Reads one payload as the function would; an error is why it does not fit.
fn read(
    function: &Registration,
    reading: &Reading,
    shape: Shape,
    record: &TaskRecord,
    payload: Option<&[u8]>,
) -> Result<(), String> {
    Attributes::decode(record.spec.attributes.as_deref()).ok_or(CLOSED)?;
    // One that travels with its task may be any.
    if record.schema.as_deref().is_some_and(|schema| Shape::of_schema(schema) != shape) {
        return Err(CannotRead::OfAnotherShape.to_string());
    }
    let payload = payload.ok_or(CLOSED)?;
    match unwind::catch(|| (function.trial.0)(payload, reading)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        // The text of a panic may hold values.
        Err(_) => Err("the payload panics when it is read".to_owned()),
    }
}
