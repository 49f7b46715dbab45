//! The calls for queues.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::error::{NOT_FOUND, QUEUE_MISSING, Refusal};
use super::json::{field, number, snake, time_text};
use super::state::{Queue, State};

/// The result of a call.
pub(super) type Answer = Result<Value, Refusal>;

impl State {
    pub(super) fn queue(&mut self, name: &str) -> Result<&mut Queue, Refusal> {
        self.queues.get_mut(name).ok_or_else(|| Refusal::not_found(QUEUE_MISSING))
    }

    pub(super) fn create_queue(&mut self, parent: &str, wanted: &Value, now: SystemTime) -> Answer {
        let name = super::json::text(wanted, "name");
        let id = name.strip_prefix(&format!("{parent}/queues/")).unwrap_or_default();
        if !is_queue_id(id) {
            return Err(Refusal::invalid(
                "Queue name must be formatted: \
                 \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>\".",
            ));
        }
        if self.queues.contains_key(name) {
            return Err(Refusal::exists("Queue already exists"));
        }
        if self.is_blocked(name, now) {
            return Err(Refusal::precondition(
                "The queue cannot be created because a queue with this name existed too recently.",
            ));
        }
        let mut queue = Queue::default();
        queue.apply(wanted, &[])?;
        let answer = queue.to_json(name);
        self.queues.insert(name.to_owned(), queue);
        Ok(answer)
    }

    /// Changes or creates a queue.
    pub(super) fn update_queue(
        &mut self,
        name: &str,
        wanted: &Value,
        mask: &[&str],
        now: SystemTime,
    ) -> Answer {
        if !self.queues.contains_key(name) {
            let (parent, _) = name.rsplit_once("/queues/").unwrap_or_default();
            self.create_queue(parent, &json!({"name": name}), now)?;
        }
        let queue = self.queue(name)?;
        queue.apply(wanted, mask)?;
        Ok(queue.to_json(name))
    }

    pub(super) fn get_queue(&mut self, name: &str) -> Answer {
        Ok(self.queue(name)?.to_json(name))
    }

    pub(super) fn remove_queue(&mut self, name: &str, now: SystemTime) -> Answer {
        self.delete_queue(name, now).map(|_| json!({})).ok_or_else(|| Refusal::not_found(NOT_FOUND))
    }

    pub(super) fn set_paused(&mut self, name: &str, paused: bool) -> Answer {
        let queue = self.queue(name)?;
        queue.paused = paused;
        Ok(queue.to_json(name))
    }

    pub(super) fn purge(&mut self, name: &str, now: SystemTime) -> Answer {
        let ids: Vec<_> = self.queue(name)?.tasks.keys().cloned().collect();
        for id in ids {
            self.end(name, &id, now);
        }
        let queue = self.queue(name)?;
        queue.purge_time = Some(now);
        Ok(queue.to_json(name))
    }

    pub(super) fn list_queues(&self, parent: &str, page: Page<'_>) -> Answer {
        let prefix = format!("{parent}/queues/");
        let queues = self.queues.iter().filter(|(name, _)| name.starts_with(&prefix));
        let (queues, next) = page.of(queues, |(name, _)| name);
        let queues: Vec<_> = queues.into_iter().map(|(name, queue)| queue.to_json(name)).collect();
        Ok(json!({"queues": queues, "nextPageToken": next}))
    }
}

/// The requested part of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) size: usize,
    /// The last name of the previous page.
    pub(super) after: &'a str,
}

impl Page<'_> {
    /// Returns the page and the token of the next page, which is empty after the last.
    pub(super) fn of<T>(
        self,
        all: impl Iterator<Item = T>,
        name: impl Fn(&T) -> &String,
    ) -> (Vec<T>, String) {
        let mut rest = all
            .skip_while(|item| !self.after.is_empty() && name(item).as_str() <= self.after)
            .peekable();
        let page: Vec<T> = rest.by_ref().take(self.size).collect();
        let next = rest.peek().and(page.last()).map(|last| name(last).clone()).unwrap_or_default();
        (page, next)
    }
}

impl Queue {
    /// Copies the fields in the mask from `wanted`; an empty mask means all fields.
    fn apply(&mut self, wanted: &Value, mask: &[&str]) -> Result<(), Refusal> {
        let masked = |path: &str| {
            mask.is_empty() || mask.iter().any(|field| *field == path || *field == snake(path))
        };
        let null = Value::Null;
        let limits = field(wanted, "rateLimits").unwrap_or(&null);
        if masked("rateLimits") || masked("rateLimits.maxDispatchesPerSecond") {
            self.max_dispatches_per_second = bounded(limits, "maxDispatchesPerSecond", 500.)?;
        }
        if masked("rateLimits") || masked("rateLimits.maxConcurrentDispatches") {
            let most = bounded(limits, "maxConcurrentDispatches", 5000.)?;
            self.max_concurrent_dispatches = most.map(|most| most as u32);
        }
        let retries = field(wanted, "retryConfig").unwrap_or(&null);
        if masked("retryConfig") {
            self.retry = super::retry::Retry::default().with(retries)?;
        }
        let named = |name: &str| mask.iter().any(|field| *field == format!("retryConfig.{name}"));
        let fields =
            ["maxAttempts", "maxRetryDuration", "minBackoff", "maxBackoff", "maxDoublings"];
        let mut changes = serde_json::Map::new();
        for name in fields.into_iter().filter(|name| named(name)) {
            // A field that is in the mask and not in the body is zero.
            let zero = if name.ends_with("off") || name.ends_with("Duration") {
                json!("0s")
            } else {
                json!(0)
            };
            changes.insert(name.to_owned(), field(retries, name).cloned().unwrap_or(zero));
        }
        self.retry = self.retry.clone().with(&Value::Object(changes))?;
        if masked("appEngineRoutingOverride") {
            self.routing_override = field(wanted, "appEngineRoutingOverride").cloned();
        }
        Ok(())
    }

    fn to_json(&self, name: &str) -> Value {
        let mut queue = json!({
            "name": name,
            "state": if self.paused { "PAUSED" } else { "RUNNING" },
            "rateLimits": {
                "maxDispatchesPerSecond": self.max_dispatches_per_second.unwrap_or(500.),
                "maxBurstSize": 100,
                "maxConcurrentDispatches": self.max_concurrent_dispatches.unwrap_or(1000),
            },
            "retryConfig": self.retry.to_json(),
        });
        if let Some(routing) = &self.routing_override {
            queue["appEngineRoutingOverride"] = routing.clone();
        }
        if let Some(purged) = self.purge_time {
            queue["purgeTime"] = json!(time_text(purged));
        }
        queue
    }
}

fn bounded(limits: &Value, name: &str, most: f64) -> Result<Option<f64>, Refusal> {
    match number(limits, name) {
        Some(number) if number < 0. => {
            Err(Refusal::invalid(format!("RateLimits.{name} cannot be negative.")))
        }
        Some(number) if number > most => Err(Refusal::invalid(format!(
            "RateLimits.{name} must be less than or equal to {most}."
        ))),
        other => Ok(other),
    }
}

fn is_queue_id(id: &str) -> bool {
    (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
