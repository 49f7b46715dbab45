//! App Engine's `cron.yaml`: schedules in a file.

mod entry;
mod read;
mod retry;

use std::str::FromStr;

pub use self::entry::CronEntry;
use crate::error::Error;
use crate::task::URL_PREFIX;

/// The schedules of an App Engine `cron.yaml`.
///
/// Each entry names its task by its `url`, which is the one that a push queue calls for it:
/// `/_cb/deferred/MODULE.PATH/FUNCTION`. An entry may have a `task` too, which App Engine does not
/// know, and which then counts. The task is deferred without arguments, so all of its parameters
/// are optional or have defaults.
///
/// The guide [`cron`](crate::guide::cron#cronyaml) has all fields and the forms of `schedule`.
///
/// ```
/// use gae_tasks::{CronFile, Error};
///
/// let file = CronFile::parse(r#"
/// cron:
/// - description: "monday morning mailout"
///   url: /_cb/deferred/shop.mail/send_weekly
///   schedule: every monday 09:00
///   timezone: Australia/Sydney
///   retry_parameters:
///     job_retry_limit: 3
/// "#)?;
/// let [entry] = file.entries() else { panic!("one entry") };
/// assert_eq!(entry.kind().as_str(), "shop.mail/send_weekly");
/// assert_eq!(entry.cron().to_string(), "every mon 09:00 (Australia/Sydney)");
///
/// let mistaken = CronFile::parse("cron:\n- task: send\n  schedule: every 5 minuts\n");
/// let told = mistaken.unwrap_err().to_string();
/// assert!(told.contains("line 3, column 13: `minuts` is not a unit"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronFile {
    entries: Vec<CronEntry>,
}

impl CronFile {
    /// Reads the text of a `cron.yaml`.
    ///
    /// # Errors
    /// [`Error::ConfigFile`] lists every mistake of the file, each with its line and column.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_with_prefix(text, URL_PREFIX)
    }

    /// Reads the text of a `cron.yaml` whose `url`s have a prefix other than `/_cb/deferred`.
    ///
    /// # Errors
    /// As of [`CronFile::parse`].
    pub fn parse_with_prefix(text: &str, prefix: &str) -> Result<Self, Error> {
        read::read(text, prefix).map(|entries| Self { entries })
    }

    /// The entries, in their order.
    pub fn entries(&self) -> &[CronEntry] {
        &self.entries
    }
}

/// Reads a `cron.yaml`, as [`CronFile::parse`] does.
impl FromStr for CronFile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}
