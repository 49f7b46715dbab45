//! A log line whose level rises with the number of retries.

/// Logs at a level that rises with the retries of the running task: info on the first attempt, warn
/// on the first retry, error on the second, and error with the field `critical = true` from the
/// third on. Outside a task, the level is error.
///
/// Takes fields and a message, as `tracing::info!` does.
///
/// ```
/// # let error = "connection refused";
/// gae_tasks::log_as_retried!(%error, "the mail server does not answer");
/// ```
#[macro_export]
macro_rules! log_as_retried {
    ($($event:tt)+) => {
        match $crate::current().map(|context| context.retry_count()) {
            Some(0) => $crate::__private::tracing::info!($($event)+),
            Some(1) => $crate::__private::tracing::warn!($($event)+),
            Some(2) | None => $crate::__private::tracing::error!($($event)+),
            Some(_) => $crate::__private::tracing::error!(critical = true, $($event)+),
        }
    };
}
