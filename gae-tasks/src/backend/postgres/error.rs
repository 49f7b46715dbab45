//! Faults of the database, and what its owner can do about them.

use std::fmt;
use std::io::ErrorKind;

use crate::error::Error;

/// The backend's name in errors and logs.
pub(super) const NAME: &str = "postgres";

/// What went wrong, without the place of the database.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database, or the connection, returned an error.
    Sql(sqlx::Error),
    /// The database is not usable; the text says why and what to do.
    Unfit(String),
    /// A transaction that has not ended holds a task; the text names the task.
    Busy(String),
    /// A transaction that has not ended holds the name of a task.
    Held { queue: String, name: String },
    /// This version cannot read a stored value. The value is left out: it might be a payload.
    Unreadable(String),
    /// Whether a transaction was committed is not known, and could not be found out.
    Unknown,
    /// A connection was lost, or leads to another server, since the rows were looked up that tasks
    /// share: they may not be there.
    Moved,
    /// What the transaction failed with that this caller shared with others.
    Shared(Problem),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// Returns the SQLSTATE of the database's answer.
    pub(super) fn code(&self) -> Option<String> {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => error.code().map(Into::into),
            _ => None,
        }
    }

    /// Whether the connection is of no use any more, and another one may be.
    pub(super) fn is_of_connection(&self) -> bool {
        match self {
            Self::Sql(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) => true,
            // The last two are transactions that were idle, or open, for too long.
            Self::Sql(sqlx::Error::Database(_)) => {
                self.is_of_class(&["08", "57P", "25P03", "25P04"])
            }
            _ => false,
        }
    }

    /// Whether the server takes no writes: it is a standby, perhaps since a moment ago.
    pub(super) fn is_read_only(&self) -> bool {
        self.is_of_class(&["25006"])
    }

    /// Whether the same statements may succeed a moment later, and have not happened: the server
    /// restarts or changes, or another transaction was in the way.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Moved)
            || self.is_of_connection()
            || self.is_of_class(&["40", "53300", "25006"])
    }

    /// Whether the given data is at fault, and not the database.
    pub(super) fn is_of_data(&self) -> bool {
        self.is_of_class(&["22", "23", "44", "54", "P0"])
    }

    /// Whether another transaction has kept a lock for longer than the statement waits.
    pub(super) fn is_of_lock(&self) -> bool {
        self.is_of_class(&["55P03"])
    }

    fn is_of_class(&self, classes: &[&str]) -> bool {
        self.code().is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
    }

    /// Returns what the database says, without its details: they may quote a row.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => {
                let code = self.code().unwrap_or_default();
                format!("{} (SQLSTATE {code})", error.message())
            }
            Self::Sql(error) => error.to_string(),
            Self::Unfit(problem) => problem.clone(),
            Self::Unreadable(what) => what.clone(),
            Self::Busy(_) | Self::Held { .. } => {
                "a transaction that has not ended, perhaps of `complete_in`, holds it: \
                              try again when it has ended"
                    .to_owned()
            }
            Self::Shared(problem) => problem.cause.clone(),
            Self::Unknown => "the connection was lost while a transaction was committed".to_owned(),
            Self::Moved => "connections were lost, or lead to several servers".to_owned(),
        }
    }

    /// Returns the problem of a database at `place`.
    pub(super) fn problem_at(&self, place: &str) -> Problem {
        let text = match self {
            Self::Sql(error) => format!("{} {place}{}", verb(error), self.remedy()),
            Self::Shared(problem) => return problem.clone(),
            Self::Unfit(problem) => format!("cannot use {place}: {problem}"),
            Self::Busy(task) => format!("cannot change the task {task} at {place}"),
            Self::Held { queue, name } => {
                format!("cannot take the name `{name}` in queue `{queue}` at {place}")
            }
            Self::Unreadable(what) => {
                format!("cannot read {what} at {place}: was it written by a newer version?")
            }
            Self::Moved => format!("cannot tell which server {place} is on: try again"),
            Self::Unknown => format!(
                "lost its connection to {place} while it stored tasks, and does not know whether \
                 they are stored: send the same tasks again (their ids keep them from being stored \
                 twice)"
            ),
        };
        Problem { text, cause: self.cause() }
    }

    /// Returns the error for the caller of a database at `place`.
    pub(super) fn at(self, place: &str) -> Error {
        match self {
            Self::Held { queue, name } => Error::Busy { name, queue },
            fault => fault.problem_at(place).into(),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Sql(sqlx::Error::Io(error)) if is_of_own_certificate(error) => {
                ": it does not accept the certificate of this program, or wants one; `sslcert` and \
                 `sslkey` in the URL name one that an authority has signed which the server \
                 believes, and its key"
            }
            Self::Sql(sqlx::Error::Io(error)) => unreached(error.kind()),
            Self::Sql(sqlx::Error::Tls(_)) => {
                ": it offers no TLS, which `sslmode` in the URL asks for, or the files of \
                 `sslrootcert`, `sslcert` and `sslkey` have no certificates, or no key that \
                 belongs to its certificate"
            }
            Self::Sql(sqlx::Error::PoolTimedOut) => {
                ": all connections of this process were busy for 10 seconds; allow more with \
                 `?max_connections=..` in the URL, or look for what holds them"
            }
            _ => self.code().map_or("", |code| of_code(&code)),
        }
    }
}

fn verb(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => "cannot reach",
        sqlx::Error::PoolTimedOut => "got no connection to",
        _ => "failed at",
    }
}

/// Whether the server has ended the handshake because of this program's certificate, as an alert of
/// TLS says, which the driver passes on as text.
fn is_of_own_certificate(error: &std::io::Error) -> bool {
    let text = error.to_string();
    let alert = text.strip_prefix("received fatal alert: ");
    // Another authority of the same name has another key.
    let is_meant =
        |alert| matches!(alert, "UnknownCA" | "DecryptError") || alert.contains("Certificate");
    alert.is_some_and(is_meant)
}

fn unreached(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused | ErrorKind::NotFound => {
            ": no server listens there; is it running, and are the host and the port of the URL \
             right?"
        }
        ErrorKind::TimedOut => {
            ": it does not answer; are the host and the port of the URL right, and does a firewall \
             let the connection pass?"
        }
        // The driver reports a failed handshake of TLS so.
        ErrorKind::InvalidData => {
            ": its certificate is not accepted, or TLS fails otherwise; `sslrootcert` in the URL \
             names the certificate of the server's authority; the server's own must name the host \
             as `subjectAltName` (for `verify-full`), and not be an authority's (`CA:TRUE`)"
        }
        _ => ": the connection was lost, or the host is unknown",
    }
}

/// Returns what to do about an SQLSTATE.
fn of_code(code: &str) -> &'static str {
    match code {
        "28P01" | "28000" => {
            ": it refuses the user or the password of the URL, or asks for a certificate \
             (`sslcert`, `sslkey`), which is missing or names another user; check them, and the \
             server's `pg_hba.conf`"
        }
        "3D000" => {
            ": the database does not exist; create it (`createdb`), or name another in the URL"
        }
        "42501" => {
            ": the role of the URL lacks a right; it needs USAGE on the schema, and SELECT, \
             INSERT, UPDATE and DELETE on all its tables"
        }
        "25006" => ": the server takes no writes, it is a standby; name the primary in the URL",
        "57014" => {
            ": a statement was cancelled; if by `statement_timeout`, raise it for the role of the \
             URL"
        }
        "55P03" => ": a lock was not to be had in time (`lock_timeout`); something else holds it",
        "53300" => {
            ": the server has no connection left; raise its `max_connections`, or lower \
             `?max_connections=..` in the URLs of its programs"
        }
        "53100" => {
            ": its disk is full; make room there, and try again: this call has stored nothing"
        }
        "57P01" | "57P02" | "57P03" => ": the server stops or starts; try again in a moment",
        "08P01" => {
            ": a pooler between this program and the server refuses a setting of the connection; \
             add `?pooler=transaction` to the URL"
        }
        "42P01" | "3F000" | "42703" | "42883" => {
            ": a table of gae-tasks is missing or was changed; open the database again to create \
             missing tables"
        }
        _ => "",
    }
}

/// A fault as callers see it. Callers that share a transaction share its failure.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    text: String,
    cause: String,
}

impl Problem {
    pub(super) const fn new(text: String, cause: String) -> Self {
        Self { text, cause }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let source = Box::new(Cause(problem.cause));
        Self::Storage { backend: NAME, problem: problem.text, source }
    }
}

/// What the database says, as the source below the text that says what to do. The driver's own
/// error would quote rows where it is printed for debugging.
#[derive(Debug)]
pub(super) struct Cause(pub(super) String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_about_the_certificate_of_this_program_is_told_from_others() {
        let remedy = |alert: &str| {
            let error = std::io::Error::new(ErrorKind::InvalidData, alert.to_owned());
            Fault::Sql(sqlx::Error::Io(error)).remedy()
        };
        for alert in ["UnknownCA", "DecryptError", "CertificateRequired", "BadCertificate"] {
            let remedy = remedy(&format!("received fatal alert: {alert}"));
            assert!(remedy.contains("the certificate of this program"), "{alert}: {remedy}");
        }
        for other in ["received fatal alert: ProtocolVersion", "invalid peer certificate: Expired"]
        {
            assert!(remedy(other).contains("its certificate is not accepted"), "{other}");
        }
    }

    #[test]
    fn a_name_that_a_transaction_holds_is_busy() {
        let held = Fault::Held { queue: "mail".to_owned(), name: "daily".to_owned() };
        assert!(!held.is_transient());
        let Error::Busy { name, queue, .. } = held.at("the database") else { panic!("not busy") };
        assert_eq!((name.as_str(), queue.as_str()), ("daily", "mail"));
    }
}
