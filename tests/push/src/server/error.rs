//! Refusals, with the messages recorded from the real service.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

/// The refusal of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    code: u16,
    status: &'static str,
    message: String,
}

pub(super) const QUEUE_MISSING: &str = "Queue does not exist. If you just created the queue, wait \
                                        at least a minute for the queue to initialize.";
pub(super) const TASK_GONE: &str = "The task no longer exists, though a task with this name \
                                    existed recently. The task \
                                    either successfully completed or was deleted.";
pub(super) const NOT_FOUND: &str = "Requested entity was not found.";
pub(super) const TASK_EXISTS: &str = "Requested entity already exists";

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { code: 400, status: "INVALID_ARGUMENT", message: message.into() }
    }

    pub(super) fn precondition(message: impl Into<String>) -> Self {
        Self { code: 400, status: "FAILED_PRECONDITION", message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { code: 404, status: "NOT_FOUND", message: message.into() }
    }

    pub(super) fn exists(message: impl Into<String>) -> Self {
        Self { code: 409, status: "ALREADY_EXISTS", message: message.into() }
    }

    pub(super) fn permission(project: &str) -> Self {
        let message = format!("Permission denied on resource project {project}.");
        Self { code: 403, status: "PERMISSION_DENIED", message }
    }

    /// Returns a refusal planned by a test.
    pub(super) fn on_demand(code: u16) -> Self {
        let status = match code {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            409 => "ALREADY_EXISTS",
            429 => "RESOURCE_EXHAUSTED",
            500 => "INTERNAL",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            _ => "UNKNOWN",
        };
        Self { code, status, message: format!("the test asked for {code}") }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body =
            json!({"error": {"code": self.code, "message": self.message, "status": self.status}});
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, [(header::CONTENT_TYPE, "application/json; charset=UTF-8")], body.to_string())
            .into_response()
    }
}
