//! Routes requests to calls, by the paths of the API.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri, header};
use serde_json::{Value, json};

use super::Inner;
use super::error::{NOT_FOUND, Refusal};
use super::fault::Fault;
use super::json::field;
use super::queues::{Answer, Page};

/// The largest page of queues; pages of tasks are smaller.
const QUEUES_OF_PAGE: usize = 9800;
const TASKS_OF_PAGE: usize = 1000;

type Parameters = HashMap<String, String>;

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(inner)
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    Query(parameters): Query<Parameters>,
    body: Bytes,
) -> Response {
    let Some(call) = Call::of(&method, uri.path()) else {
        return Refusal::not_found(NOT_FOUND).into_response();
    };
    let fault = inner.faults().take(call.name);
    match fault {
        Some(Fault::Refuse(code)) => return Refusal::on_demand(code).into_response(),
        Some(Fault::Proxy(code)) => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
            return (code, [(header::CONTENT_TYPE, "text/html")], "<html>proxy</html>")
                .into_response();
        }
        Some(Fault::LoseAnswer | Fault::NeverAnswer) | None => {}
    }
    let body = match body.as_ref() {
        b"" => Ok(json!({})),
        body => serde_json::from_slice(body)
            .map_err(|_| Refusal::invalid("Invalid JSON payload received.")),
    };
    let answer = body.and_then(|body| inner.carry_out(&call, &body, &parameters));
    match fault {
        // Unwinding ends the connection, and `resume_unwind` calls no panic hook.
        Some(Fault::LoseAnswer) => resume_unwind(Box::new("the answer is lost")),
        Some(Fault::NeverAnswer) => std::future::pending().await,
        _ => {}
    }
    match answer {
        Ok(answer) => {
            ([(header::CONTENT_TYPE, "application/json; charset=UTF-8")], answer.to_string())
                .into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// A call of the API.
#[derive(Debug)]
struct Call {
    name: &'static str,
    project: String,
    /// `projects/p/locations/l`.
    location: String,
    /// The queue's short and full names; empty where the call has none.
    queue: String,
    task: String,
}

impl Call {
    fn of(method: &Method, path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v2/")?;
        let (path, verb) = match path.rsplit_once(':') {
            Some((path, verb)) if !verb.contains('/') => (path, verb),
            _ => (path, ""),
        };
        let parts: Vec<_> = path.split('/').collect();
        let (resource, rest) = parts.split_at_checked(4)?;
        let &["projects", project, "locations", _] = resource else { return None };
        let name = match (method.as_str(), rest, verb) {
            ("POST", ["queues"], "") => "CreateQueue",
            ("GET", ["queues"], "") => "ListQueues",
            ("GET", ["queues", _], "") => "GetQueue",
            ("PATCH", ["queues", _], "") => "UpdateQueue",
            ("DELETE", ["queues", _], "") => "DeleteQueue",
            ("POST", ["queues", _], "pause") => "PauseQueue",
            ("POST", ["queues", _], "resume") => "ResumeQueue",
            ("POST", ["queues", _], "purge") => "PurgeQueue",
            ("POST", ["queues", _, "tasks"], "") => "CreateTask",
            ("GET", ["queues", _, "tasks"], "") => "ListTasks",
            ("GET", ["queues", _, "tasks", _], "") => "GetTask",
            ("DELETE", ["queues", _, "tasks", _], "") => "DeleteTask",
            ("POST", ["queues", _, "tasks", _], "run") => "RunTask",
            _ => return None,
        };
        let location = resource.join("/");
        let queue = rest.get(1).map_or(String::new(), |queue| format!("{location}/queues/{queue}"));
        let task = rest.get(3).map_or(String::new(), |task| (*task).to_owned());
        Some(Self { name, project: project.to_owned(), location, queue, task })
    }
}

impl Inner {
    fn carry_out(self: &Arc<Self>, call: &Call, body: &Value, parameters: &Parameters) -> Answer {
        if self.denied.contains(&call.project) {
            return Err(Refusal::permission(&call.project));
        }
        let now = self.now();
        let Call { location, queue, task, .. } = call;
        let mut state = self.state();
        let answer = match call.name {
            "CreateQueue" => state.create_queue(location, body, now),
            "ListQueues" => state.list_queues(location, page(parameters, QUEUES_OF_PAGE)?),
            "GetQueue" => state.get_queue(queue),
            "UpdateQueue" => {
                let mask = parameter(parameters, "updateMask", "update_mask");
                let mask: Vec<_> = mask.split(',').filter(|path| !path.is_empty()).collect();
                state.update_queue(queue, body, &mask, now)
            }
            "DeleteQueue" => state.remove_queue(queue, now),
            "PauseQueue" => state.set_paused(queue, true),
            "ResumeQueue" => state.set_paused(queue, false),
            "PurgeQueue" => state.purge(queue, now),
            "CreateTask" => {
                let wanted = field(body, "task").unwrap_or(&Value::Null);
                state.create_task(queue, wanted, self.number(), now)
            }
            "ListTasks" => {
                state.list_tasks(queue, page(parameters, TASKS_OF_PAGE)?, is_full(body, parameters))
            }
            "GetTask" => state.get_task(queue, task, is_full(body, parameters), now),
            "DeleteTask" => state.delete_task(queue, task, now),
            _ => {
                // Also in a paused queue.
                let answer = state.get_task(queue, task, is_full(body, parameters), now)?;
                let ready = state.begin(queue, task, now);
                drop(state);
                ready.into_iter().for_each(|ready| self.dispatch(ready));
                return Ok(answer);
            }
        };
        drop(state);
        self.changed.notify_one();
        answer
    }
}

fn parameter<'a>(parameters: &'a Parameters, camel: &str, snake: &str) -> &'a str {
    parameters.get(camel).or_else(|| parameters.get(snake)).map_or("", String::as_str)
}

fn page(parameters: &Parameters, most: usize) -> Result<Page<'_>, Refusal> {
    let size = match parameter(parameters, "pageSize", "page_size") {
        "" | "0" => most,
        size => size.parse().map_err(|_| Refusal::invalid("Invalid value at 'page_size'"))?,
    };
    Ok(Page { size: size.min(most), after: parameter(parameters, "pageToken", "page_token") })
}

fn is_full(body: &Value, parameters: &Parameters) -> bool {
    let given = parameter(parameters, "responseView", "response_view");
    let in_body = field(body, "responseView").is_some_and(|view| view == 2 || view == "FULL");
    in_body || matches!(given, "2" | "FULL")
}
