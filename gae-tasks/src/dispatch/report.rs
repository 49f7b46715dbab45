//! The log of an attempt: its span, and its outcome.

use tracing::Span;

use crate::backend::outlook::Outlook;
use crate::context::TaskContext;
use crate::log;
use crate::outcome::{Failure, Outcome};

/// Predicts what follows an attempt with this failure, for the log.
pub(crate) type OutlookOf<'a> = &'a (dyn Fn(&Failure) -> Outlook + Sync);

/// The span of an attempt, named like an OpenTelemetry consumer span. `tracing-opentelemetry` reads
/// the fields `otel.*`, and reads numbers as numbers only if they are signed. Source: [semantic
/// conventions for messaging
/// spans](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/).
pub(super) fn span(context: &TaskContext, bytes: usize) -> Span {
    let queue = context.queue().as_str();
    tracing::info_span!(
        "task",
        otel.name = format_args!("{queue} process"),
        otel.kind = "consumer",
        messaging.system = "gae_tasks",
        messaging.operation.name = "process",
        "messaging.operation.type" = "process",
        messaging.destination.name = queue,
        messaging.message.id = %context.id(),
        messaging.message.body.size = i64::try_from(bytes).unwrap_or(i64::MAX),
        kind = context.kind().as_str(),
        attempt = i64::from(context.attempt()),
        traceparent = context.traceparent(),
    )
}

pub(super) fn report(outcome: &Outcome, context: &TaskContext, outlook: OutlookOf<'_>) {
    let attempt = context.attempt();
    log::say(|| match outcome {
        Outcome::Done => tracing::debug!("done"),
        Outcome::Released => {
            tracing::debug!("released: the attempt was stopped and is not counted")
        }
        // The dead letter is logged as an error, once it is stored.
        Outcome::Permanent(failure) => {
            let outlook = Outlook::LAST;
            let (left, next) = (outlook.left, tracing::field::display(outlook.next));
            tracing::warn!(
                error = %failure, left, next,
                "attempt {attempt} failed for good: {outlook}"
            );
        }
        Outcome::Unreadable(failure) => {
            tracing::error!(
                error = %failure,
                "the task cannot be run and is put back for a while; no attempt is counted"
            );
        }
        Outcome::Retry(failure) => {
            let outlook = outlook(failure);
            let (left, next) = (outlook.left, tracing::field::display(outlook.next));
            if failure.is_quiet() {
                tracing::debug!(
                    error = %failure, left, next,
                    "attempt {attempt} failed as expected: {outlook}"
                );
            } else {
                tracing::warn!(error = %failure, left, next, "attempt {attempt} failed: {outlook}");
            }
        }
    });
}
