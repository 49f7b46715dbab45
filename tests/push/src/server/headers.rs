//! The headers of a task's request, as recorded from the real service.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::json::epoch_text;
use super::state::{Attempt, Target, Task};

/// The headers that Google always writes itself.
const OWN: &[&str] = &["host", "content-length", "user-agent"];

/// Returns the headers of the next request of the task `id` in the queue with this short name.
pub(super) fn headers(task: &Task, queue: &str, id: &str) -> HeaderMap {
    let (prefix, agent) = match task.target {
        Target::Http { .. } => ("x-cloudtasks-", "Google-Cloud-Tasks"),
        Target::AppEngine { .. } => {
            ("x-appengine-", "AppEngine-Google; (+http://code.google.com/appengine)")
        }
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &task.headers {
        let lower = name.to_ascii_lowercase();
        let reserved = ["x-google-", "x-appengine-", "x-cloudtasks-"]
            .iter()
            .any(|start| lower.starts_with(start));
        if !reserved && !OWN.contains(&lower.as_str()) {
            set(&mut headers, &lower, value);
        }
    }
    set(&mut headers, "user-agent", agent);
    let mut add = |name: &str, value: &str| set(&mut headers, &format!("{prefix}{name}"), value);
    add("queuename", queue);
    add("taskname", id);
    add("taskretrycount", &task.dispatched.to_string());
    add("taskexecutioncount", &task.executions.to_string());
    add("tasketa", &epoch_text(task.schedule_time));
    if let Some((status, reason)) = task.last.as_ref().and_then(|last| previous(last, &task.target))
    {
        add("taskpreviousresponse", &status);
        add("taskretryreason", reason);
    }
    headers
}

/// Returns the status and the reason of the previous attempt.
fn previous(last: &Attempt, target: &Target) -> Option<(String, &'static str)> {
    let (_, status) = last.end?;
    Some(match (status, target) {
        (Some(status), Target::Http { .. }) => (status.to_string(), ""),
        (None, Target::Http { .. }) => ("504".to_owned(), ""),
        (Some(status), Target::AppEngine { .. }) => (status.to_string(), "App Error"),
        (None, Target::AppEngine { .. }) => ("0".to_owned(), "Instance Unavailable"),
    })
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

impl Task {
    /// Records the end of an attempt.
    pub(super) fn note(&mut self, status: Option<u16>, now: SystemTime) {
        self.running = false;
        let counts = match (status, &self.target) {
            (None, _) => false,
            // The two kinds of targets differ here.
            (Some(500..=599), Target::Http { .. }) => false,
            _ => true,
        };
        self.executions += u32::from(counts);
        self.responses += u32::from(status.is_some());
        if let Some(last) = &mut self.last {
            last.end = Some((now, status));
        }
    }
}
