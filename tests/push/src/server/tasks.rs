//! The calls for tasks.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::error::{NOT_FOUND, QUEUE_MISSING, Refusal, TASK_EXISTS, TASK_GONE};
use super::json::{
    bytes, bytes_text, duration, duration_text, field, text, time, time_text, variant,
};
use super::queues::{Answer, Page};
use super::retry::Retry;
use super::state::{Attempt, State, Target, Task, Token};

/// The largest size of a stored task in bytes, as measured.
const MAX_BYTES: usize = 1_048_569;

const METHODS: &[&str] =
    &["HTTP_METHOD_UNSPECIFIED", "POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"];

impl State {
    /// Creates a task; `number` is unique among all tasks.
    pub(super) fn create_task(
        &mut self,
        parent: &str,
        wanted: &Value,
        number: u64,
        now: SystemTime,
    ) -> Answer {
        if !self.queues.contains_key(parent) {
            return Err(Refusal::not_found(QUEUE_MISSING));
        }
        let id = match text(wanted, "name") {
            "" => (u64::MAX / 3 + number * 7919).to_string(),
            name => checked_id(parent, name)?.to_owned(),
        };
        let task = Task::read(wanted, number, now)?;
        let name = format!("{parent}/tasks/{id}");
        if self.queue(parent)?.tasks.contains_key(&id) || self.is_blocked(&name, now) {
            return Err(Refusal::exists(TASK_EXISTS));
        }
        let answer = task.to_json(&name, false);
        self.queue(parent)?.tasks.insert(id, task);
        Ok(answer)
    }

    pub(super) fn get_task(
        &mut self,
        queue: &str,
        id: &str,
        full: bool,
        now: SystemTime,
    ) -> Answer {
        let name = format!("{queue}/tasks/{id}");
        match self.queues.get(queue).and_then(|queue| queue.tasks.get(id)) {
            Some(task) => Ok(task.to_json(&name, full)),
            None if self.is_blocked(&name, now) => Err(Refusal::not_found(TASK_GONE)),
            None => Err(Refusal::not_found(NOT_FOUND)),
        }
    }

    pub(super) fn delete_task(&mut self, queue: &str, id: &str, now: SystemTime) -> Answer {
        self.end(queue, id, now).map(|_| json!({})).ok_or_else(|| Refusal::not_found(NOT_FOUND))
    }

    pub(super) fn list_tasks(&mut self, name: &str, page: Page<'_>, full: bool) -> Answer {
        let (tasks, next) = page.of(self.queue(name)?.tasks.iter(), |(id, _)| id);
        let tasks: Vec<_> = tasks
            .iter()
            .map(|(id, task)| task.to_json(&format!("{name}/tasks/{id}"), full))
            .collect();
        Ok(json!({"tasks": tasks, "nextPageToken": next}))
    }
}

/// Returns the short name of the task `name`.
fn checked_id<'a>(parent: &str, name: &'a str) -> Result<&'a str, Refusal> {
    let (queue, id) = name.rsplit_once("/tasks/").unwrap_or((name, ""));
    if queue != parent {
        return Err(Refusal::invalid(format!(
            "The queue name from request ('{parent}') must be the same as the queue name in the \
             named task ('{queue}')."
        )));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !(1..=500).contains(&id.len()) || !id.bytes().all(allowed) {
        return Err(Refusal::invalid(format!(
            "Task ID \"{id}\" can contain only letters ([A-Za-z]), numbers ([0-9]), hyphens (-), \
             or underscores (_). Task ID must between 1 and 500 characters."
        )));
    }
    Ok(id)
}

impl Task {
    fn read(wanted: &Value, number: u64, now: SystemTime) -> Result<Self, Refusal> {
        let (request, target) = target(wanted)?;
        let schedule = time(wanted, "scheduleTime")?;
        check_schedule(schedule, now)?;
        let deadline = duration(wanted, "dispatchDeadline")?;
        check_deadline(deadline, &target)?;
        let body = bytes(request, "body")?;
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in
            field(request, "headers").and_then(Value::as_object).into_iter().flatten()
        {
            headers.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        let size = body.len()
            + headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>()
            + 256;
        if size > MAX_BYTES {
            return Err(Refusal::invalid("Task size too large"));
        }
        let method = match variant(request, "httpMethod", METHODS)? {
            "HTTP_METHOD_UNSPECIFIED" => "POST",
            method => method,
        };
        let retry =
            field(wanted, "retryConfig").map(|config| Retry::default().with(config)).transpose()?;
        Ok(Self {
            number,
            target,
            headers,
            body,
            method,
            schedule_time: schedule.map_or(now, |at| at.max(now)),
            create_time: now,
            deadline,
            retry,
            dispatched: 0,
            responses: 0,
            executions: 0,
            first_dispatch: None,
            last: None,
            running: false,
        })
    }

    /// Returns the task as JSON, with its body in the full view.
    fn to_json(&self, name: &str, full: bool) -> Value {
        let mut request = json!({"httpMethod": self.method, "headers": self.headers});
        if full {
            request["body"] = json!(bytes_text(&self.body));
        }
        let mut task = json!({
            "name": name,
            "scheduleTime": time_text(self.schedule_time),
            "createTime": humantime::format_rfc3339_seconds(self.create_time).to_string(),
            "dispatchCount": self.dispatched,
            "responseCount": self.responses,
            "view": if full { "FULL" } else { "BASIC" },
        });
        match &self.target {
            Target::Http { url, token } => {
                request["url"] = json!(url);
                if let Some(Token { email, audience }) = token {
                    request["oidcToken"] =
                        json!({"serviceAccountEmail": email, "audience": audience});
                }
                task["httpRequest"] = request;
                task["dispatchDeadline"] =
                    json!(duration_text(self.deadline.unwrap_or(Duration::from_secs(600))));
            }
            Target::AppEngine { uri, service, version } => {
                request["relativeUri"] = json!(uri);
                request["appEngineRouting"] =
                    json!({"service": service, "version": version, "host": "p.appspot.com"});
                task["appEngineHttpRequest"] = request;
                if let Some(deadline) = self.deadline {
                    task["dispatchDeadline"] = json!(duration_text(deadline));
                }
            }
        }
        if let Some(retry) = &self.retry {
            task["retryConfig"] = retry.to_json();
        }
        if let (Some(first), Some(last)) = (self.first_dispatch, &self.last) {
            task["firstAttempt"] = json!({"dispatchTime": time_text(first)});
            task["lastAttempt"] = last.to_json();
        }
        task
    }
}

impl Attempt {
    fn to_json(&self) -> Value {
        let mut attempt = json!({
            "scheduleTime": time_text(self.schedule_time),
            "dispatchTime": time_text(self.dispatch_time),
        });
        if let Some((at, status)) = self.end {
            attempt["responseTime"] = json!(time_text(at));
            attempt["responseStatus"] = match status {
                Some(status) if (200..300).contains(&status) => json!({"code": 0}),
                Some(status) => {
                    let message = format!("INTERNAL(13): HTTP status code {status}");
                    json!({"code": 13, "message": message})
                }
                None => json!({"code": 4, "message": "DEADLINE_EXCEEDED(4): no response"}),
            };
        }
        attempt
    }
}

fn target(wanted: &Value) -> Result<(&Value, Target), Refusal> {
    if let Some(request) = field(wanted, "appEngineHttpRequest") {
        let routing = field(request, "appEngineRouting").unwrap_or(&Value::Null);
        let uri = Some(text(request, "relativeUri"))
            .filter(|uri| !uri.is_empty())
            .unwrap_or("/")
            .to_owned();
        let (service, version) =
            (text(routing, "service").to_owned(), text(routing, "version").to_owned());
        return Ok((request, Target::AppEngine { uri, service, version }));
    }
    let Some(request) = field(wanted, "httpRequest") else {
        return Err(Refusal::invalid("Task.message_type is required."));
    };
    let url = text(request, "url");
    if url.is_empty() {
        return Err(Refusal::invalid("HttpRequest.url is required."));
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Refusal::invalid("HttpTarget.url must start with 'http://' or 'https://'."));
    }
    let token = field(request, "oidcToken").map(|token| {
        let audience =
            Some(text(token, "audience")).filter(|audience| !audience.is_empty()).unwrap_or(url);
        Token {
            email: text(token, "serviceAccountEmail").to_owned(),
            audience: audience.to_owned(),
        }
    });
    Ok((request, Target::Http { url: url.to_owned(), token }))
}

fn check_schedule(schedule: Option<SystemTime>, now: SystemTime) -> Result<(), Refusal> {
    let horizon = now + Duration::from_secs(720 * 3600);
    let Some(at) = schedule.filter(|at| *at > horizon) else { return Ok(()) };
    let pacific = humantime::format_rfc3339_seconds(at - Duration::from_secs(8 * 3600)).to_string();
    Err(Refusal::invalid(format!(
        "The Task.scheduleTime, {}-08:00, is too far in the future. Schedule time must be no more \
         than 720h in the future.",
        pacific.trim_end_matches('Z')
    )))
}

fn check_deadline(deadline: Option<Duration>, target: &Target) -> Result<(), Refusal> {
    let (most, text) = match target {
        Target::Http { .. } => (30 * 60, "[15s, 30m]"),
        Target::AppEngine { .. } => (24 * 3600 + 15, "[15s, 24h15s]"),
    };
    let range = Duration::from_secs(15)..=Duration::from_secs(most);
    if deadline.is_none_or(|deadline| range.contains(&deadline)) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Task.dispatchDeadline must be between {text}.")))
}
