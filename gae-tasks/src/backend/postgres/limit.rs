//! How long the server may take: a server, or a network, that falls silent reports no error.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::timeout;

use super::error::Fault;

/// The least time that an extension of leases is given, and the time that a look for cancelled
/// tasks is given, which is soon repeated. No other call has less.
pub(super) const LEAST: Duration = Duration::from_secs(1);

/// Does `work`, which is dropped once it takes longer than `limit`. A connection that it holds is
/// checked then, before another call uses it.
pub(super) async fn within<T, E: Into<Fault>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Fault::Sql(sqlx::Error::Io(ErrorKind::TimedOut.into()))),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn silence_is_a_fault_of_the_connection() {
        let silent = pending::<Result<(), Fault>>();
        let fault = within(Duration::from_millis(1), silent).await.unwrap_err();
        assert!(fault.is_of_connection() && fault.is_transient());
    }

    #[tokio::test]
    async fn an_answer_in_time_is_passed_on() {
        let answer = ready(Ok::<_, Fault>(7));
        assert_eq!(within(Duration::ZERO, answer).await.unwrap(), 7);
    }
}
