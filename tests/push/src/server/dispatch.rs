//! Calls handlers: takes due tasks, sends them, and records the outcome.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::state::{Attempt, State, Target, Task, Token};
use super::{Delivery, Inner};

/// A task on its way to its handler.
#[derive(Debug)]
pub(super) struct Ready {
    queue: String,
    id: String,
    /// The task before this attempt.
    task: Task,
}

/// The longest life of a task, whatever the outcome of its attempts.
const LIFE: Duration = Duration::from_secs(31 * 24 * 60 * 60);

impl State {
    /// Starts all attempts that may start.
    pub(super) fn begin_due(&mut self, now: SystemTime) -> Vec<Ready> {
        let mut due = Vec::new();
        let mut expired = Vec::new();
        for (name, queue) in &self.queues {
            let running = queue.tasks.values().filter(|task| task.running).count();
            let room =
                (queue.max_concurrent_dispatches.unwrap_or(1000) as usize).saturating_sub(running);
            let waiting = queue.tasks.iter().filter(|(_, task)| !task.running);
            let (old, live): (Vec<_>, Vec<_>) =
                waiting.partition(|(_, task)| task.create_time + LIFE <= now);
            expired.extend(old.into_iter().map(|(id, _)| (name.clone(), id.clone())));
            let ready =
                live.into_iter().filter(|(_, task)| task.schedule_time <= now && !queue.paused);
            due.extend(ready.take(room).map(|(id, _)| (name.clone(), id.clone())));
        }
        for (queue, id) in expired {
            self.end(&queue, &id, now);
        }
        due.into_iter().filter_map(|(queue, id)| self.begin(&queue, &id, now)).collect()
    }

    /// Starts an attempt, unless one is in progress.
    pub(super) fn begin(&mut self, queue: &str, id: &str, now: SystemTime) -> Option<Ready> {
        let task = self.queues.get_mut(queue)?.tasks.get_mut(id).filter(|task| !task.running)?;
        let ready = Ready { queue: queue.to_owned(), id: id.to_owned(), task: task.clone() };
        task.running = true;
        task.dispatched += 1;
        task.first_dispatch.get_or_insert(now);
        task.last =
            Some(Attempt { schedule_time: task.schedule_time, dispatch_time: now, end: None });
        Some(ready)
    }

    /// Ends an attempt: with the task, or with its next schedule time.
    fn finish(&mut self, ready: &Ready, status: Option<u16>, now: SystemTime) {
        let Some(queue) = self.queues.get_mut(&ready.queue) else { return };
        let Some(task) =
            queue.tasks.get_mut(&ready.id).filter(|task| task.number == ready.task.number)
        else {
            return;
        };
        task.note(status, now);
        let retries = task.retries(&queue.retry).clone();
        let is_over = retries.is_over(task.dispatched, task.first_dispatch.unwrap_or(now), now);
        if status.is_some_and(|status| (200..300).contains(&status)) || is_over {
            self.end(&ready.queue, &ready.id, now);
        } else {
            task.schedule_time = now + retries.backoff(task.dispatched);
        }
    }

    /// Returns the time at which the next attempt may start.
    fn next(&self) -> Option<SystemTime> {
        let queues = self.queues.values().filter(|queue| !queue.paused);
        queues
            .flat_map(|queue| queue.tasks.values())
            .filter(|task| !task.running)
            .map(|task| task.schedule_time)
            .min()
    }
}

impl Inner {
    /// Dispatches due tasks as long as it is polled.
    pub(super) async fn dispatch_all(self: Arc<Self>) {
        loop {
            // One moment for both calls: no timer would be set for a task that becomes due in
            // between.
            let now = self.now();
            let ready = self.state().begin_due(now);
            ready.into_iter().for_each(|ready| self.dispatch(ready));
            let next = self.state().next().map(|next| next.duration_since(now).unwrap_or_default());
            let changed = self.changed.notified();
            match next {
                // A due task that did not start waits for the end of another attempt, which is a
                // change.
                Some(next) if !next.is_zero() => _ = tokio::time::timeout(next, changed).await,
                _ => changed.await,
            }
        }
    }

    /// Makes an attempt in a task of its own.
    pub(super) fn dispatch(self: &Arc<Self>, ready: Ready) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let status = inner.send(&ready).await;
            inner.state().finish(&ready, status, inner.now());
            inner.deliveries.send_modify(|deliveries| {
                deliveries.push(Delivery { queue: ready.queue, task: ready.id, status });
            });
            inner.changed.notify_one();
        });
    }

    /// Returns the status of the handler's response; `None` if there was none.
    async fn send(&self, ready: &Ready) -> Option<u16> {
        let (url, token) = self.address(ready)?;
        let queue = ready.queue.rsplit('/').next().unwrap_or_default();
        let method = http::Method::from_bytes(ready.task.method.as_bytes()).ok()?;
        let request = self.http.request(method, url).body(ready.task.body.clone());
        let mut request = request.headers(super::headers::headers(&ready.task, queue, &ready.id));
        if let (Some(Token { email, audience }), Some(sign)) = (token, &self.signer) {
            request = request.bearer_auth(sign(&audience, &email));
        }
        let deadline = ready.task.deadline.unwrap_or(Duration::from_secs(600));
        let answer = request.timeout(deadline).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    fn address(&self, ready: &Ready) -> Option<(String, Option<Token>)> {
        match &ready.task.target {
            Target::Http { url, token } => Some((url.clone(), token.clone())),
            Target::AppEngine { uri, service, .. } => {
                let state = self.state();
                let over = state.queues.get(&ready.queue)?.routing_override.as_ref();
                let service =
                    over.map_or(service.as_str(), |over| super::json::text(over, "service"));
                // Tasks for an unknown service go to the default service.
                let base = self.services.get(service).or_else(|| self.services.get("default"))?;
                Some((format!("{base}{uri}"), None))
            }
        }
    }
}
