//! The backend that a URL names.

#[cfg(feature = "sqlite")]
mod sqlite;

use std::env::{VarError, var};
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "sqlite")]
use self::sqlite::Target;
use super::storage::Storage;
use crate::backend::memory::Memory;
use crate::error::Error;

/// The environment variable that names the backend.
const VARIABLE: &str = "GAE_TASKS_URL";

/// The URL in the environment, or `default` if the variable is not set.
pub(super) fn from_env(default: Option<&str>) -> Result<String, Error> {
    chosen(var(VARIABLE), default)
}

fn chosen(set: Result<String, VarError>, default: Option<&str>) -> Result<String, Error> {
    match (set, default) {
        (Ok(url), _) => Ok(url),
        (Err(VarError::NotPresent), Some(default)) => Ok(default.to_owned()),
        (Err(VarError::NotPresent), None) => Err(refused(
            VARIABLE,
            "is an environment variable that is not set: set it to the backend's URL, or name a \
             default with `from_env_or(..)`",
        )),
        (Err(VarError::NotUnicode(_)), _) => Err(refused(VARIABLE, "is not valid UTF-8")),
    }
}

/// Opens the backend that `url` names.
pub(super) async fn open(url: &str) -> Result<Storage, Error> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(refused(url, "has no scheme"));
    };
    match scheme {
        "memory" if rest.is_empty() => Ok(memory()),
        "memory" => Err(refused(url, "names a place, which `memory:` does not have")),
        "sqlite" => sqlite(url, rest).await,
        "cloudtasks" => cloud_tasks(url).await,
        "postgres" | "postgresql" => postgres(url).await,
        _ => Err(refused(url, "has an unknown scheme")),
    }
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str, rest: &str) -> Result<Storage, Error> {
    match Target::read(rest).map_err(|problem| refused(url, &problem))? {
        Target::Memory => Ok(memory()),
        Target::File { path, is_made: false } if !Path::new(&path).exists() => Err(refused(
            url,
            "names a file that does not exist, and `mode=rw` does not create it: use `mode=rwc`, \
             or remove the mode",
        )),
        Target::File { path, .. } => {
            Ok(Storage::Pull(Arc::new(crate::backend::sqlite::Sqlite::open(path).await?)))
        }
    }
}

fn memory() -> Storage {
    Storage::Pull(Arc::new(Memory::new()))
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(url: &str, _rest: &str) -> Result<Storage, Error> {
    Err(refused(url, "needs the feature `sqlite` of gae-tasks, which is disabled in this build"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<Storage, Error> {
    Ok(Storage::Pull(Arc::new(crate::backend::postgres::Postgres::open(url).await?)))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(url: &str) -> Result<Storage, Error> {
    Err(refused(url, "needs the feature `postgres` of gae-tasks, which is disabled in this build"))
}

#[cfg(feature = "cloud-tasks")]
async fn cloud_tasks(url: &str) -> Result<Storage, Error> {
    let backend = crate::backend::cloud_tasks::CloudTasks::open(url).await?;
    Ok(Storage::Push(Arc::new(backend)))
}

#[cfg(not(feature = "cloud-tasks"))]
async fn cloud_tasks(url: &str) -> Result<Storage, Error> {
    Err(refused(
        url,
        "needs the feature `cloud-tasks` of gae-tasks, which is disabled in this build",
    ))
}

fn refused(url: &str, problem: &str) -> Error {
    Error::Url { url: without_password(url), problem: problem.to_owned() }
}

/// The URL for errors and logs: without anything that may be part of a password, even if the
/// password was not escaped.
fn without_password(url: &str) -> String {
    let parts = || {
        let (scheme, rest) = url.split_once("://")?;
        let (user_info, place) = rest.rsplit_once('@')?;
        let (user, _) = user_info.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{place}"))
    };
    parts().unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_errors() {
        assert_eq!(without_password("postgres://ann:s3cret@db/shop"), "postgres://ann:***@db/shop");
        assert_eq!(without_password("postgres://ann@db/shop:1"), "postgres://ann@db/shop:1");
        assert_eq!(without_password("sqlite:a:b@c"), "sqlite:a:b@c");
    }

    #[test]
    fn a_password_that_was_not_escaped_stays_out_of_errors() {
        assert_eq!(
            without_password("postgres://ann:s3/cr@e:t@db/shop"),
            "postgres://ann:***@db/shop"
        );
        assert_eq!(without_password("postgres://ann:s3?c#ret@db"), "postgres://ann:***@db");
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn a_file_named_as_a_uri_is_refused() {
        for url in ["sqlite:file:tasks.db", "sqlite://file:tasks.db", "sqlite:file::memory:"] {
            let refused = pollster::block_on(open(url)).map(drop);
            assert!(
                matches!(&refused, Err(Error::Url { problem, .. }) if problem.contains("URI")),
                "{refused:?}"
            );
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_in_memory_is_the_queue_in_memory() {
        let storage = pollster::block_on(open("sqlite::memory:")).unwrap();
        assert_eq!(storage.backend().capabilities().backend, "memory");
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn a_mode_decides_whether_a_missing_file_is_made() {
        let file = std::env::temp_dir().join(format!("gae-tasks-mode-{}.db", std::process::id()));
        let url = |mode: &str| format!("sqlite://{}?mode={mode}", file.display());
        let missing = pollster::block_on(open(&url("rw"))).map(drop).unwrap_err().to_string();
        assert!(missing.contains("does not exist, and `mode=rw` does not create it"), "{missing}");
        assert!(!file.exists());
        drop(pollster::block_on(open(&url("rwc"))).unwrap());
        assert!(file.exists());
        drop(pollster::block_on(open(&url("rw"))).unwrap());
        std::fs::remove_file(&file).unwrap();
    }

    #[cfg(not(feature = "cloud-tasks"))]
    #[test]
    fn a_backend_that_is_off_names_its_feature() {
        let error = pollster::block_on(open("cloudtasks://shop/europe-west1")).err().unwrap();
        assert!(error.to_string().contains("needs the feature `cloud-tasks`"), "{error}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named_unless_there_is_a_default() {
        let text = chosen(Err(VarError::NotPresent), None).unwrap_err().to_string();
        assert!(
            text.contains("`GAE_TASKS_URL`")
                && text.contains("not set")
                && text.contains("from_env_or"),
            "{text}"
        );
        let default = Some("sqlite:tasks.db");
        assert_eq!(chosen(Err(VarError::NotPresent), default).unwrap(), "sqlite:tasks.db");
        assert_eq!(chosen(Ok("memory:".to_owned()), default).unwrap(), "memory:");
        assert!(chosen(Err(VarError::NotUnicode("x".into())), default).is_err());
    }
}
