//! App Engine's `cron.yaml`: schedules in a file.

mod entry;
mod mistakes;
mod node;
mod read;
mod retry;

pub use self::entry::CronEntry;
pub use self::mistakes::CronFileError;
use self::read::Reader;

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
/// use gae_tasks::CronFile;
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
/// # Ok::<(), gae_tasks::CronFileError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CronFile {
    entries: Vec<CronEntry>,
}

/// Below what the tasks of `url`s are, unless it is given.
const PREFIX: &str = "/_cb/deferred";

impl CronFile {
    /// Reads the text of a `cron.yaml`.
    ///
    /// # Errors
    /// [`CronFileError`] with every mistake in the file, by line and column.
    pub fn parse(text: &str) -> Result<Self, CronFileError> {
        Self::parse_with_prefix(text, PREFIX)
    }

    /// Reads the text of a `cron.yaml` whose `url`s have a prefix other than `/_cb/deferred`.
    ///
    /// # Errors
    /// As of [`CronFile::parse`].
    pub fn parse_with_prefix(text: &str, prefix: &str) -> Result<Self, CronFileError> {
        let mut reader = Reader::new(prefix);
        let entries = reader.file(text);
        reader.finish().map(|()| Self { entries })
    }

    /// The entries, in their order.
    pub fn entries(&self) -> &[CronEntry] {
        &self.entries
    }
}
