//! The place of the queue. Files that were there before are left alone.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gae_tasks::Client;
use tempfile::TempDir;

/// The URL of the queue, and the files to remove at the end.
#[derive(Debug)]
pub(crate) struct Place {
    url: String,
    /// The file, if this run creates it.
    file: Option<PathBuf>,
    /// The folder around the file, if this run creates that too.
    _folder: Option<TempDir>,
}

impl Place {
    /// The queue that `url` names, or a new file.
    pub(crate) fn choose(url: Option<&str>) -> Result<Self> {
        let Some(url) = url else {
            let folder = TempDir::with_prefix("gae-tasks-bench-")
                .context("cannot make a temporary folder")?;
            let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
            return Ok(Self { url, file: None, _folder: Some(folder) });
        };
        let file = url
            .strip_prefix("sqlite:")
            .map(|rest| PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)));
        Ok(Self { url: url.to_owned(), file: file.filter(|file| !file.exists()), _folder: None })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The queue, to be printed: the URL without what may be a password.
    pub(crate) fn name(&self) -> String {
        let name = match (self.url.split_once("://"), self.url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => self.url.clone(),
        };
        name.split_once('?').map_or(name.as_str(), |(place, _)| place).to_owned()
    }

    /// Removes the file that this run created, its log, and other files named after it.
    pub(crate) fn tidy(self) -> Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        let name = file.file_name().context("the file has no name")?.to_string_lossy().into_owned();
        let folder =
            file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let is_of_the_file =
                entry.file_name().to_string_lossy().strip_prefix(&name).is_some_and(is_suffix);
            if is_of_the_file {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// SQLite may have removed its log meanwhile.
fn remove(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

/// Whether SQLite or gae-tasks gives a file beside a database this name.
fn is_suffix(rest: &str) -> bool {
    matches!(rest, "" | "-wal" | "-shm") || rest.ends_with(".lock")
}

/// The measurement would count tasks of others, and run those whose kind this program knows.
pub(crate) async fn refuse_tasks(tasks: &Client, name: &str) -> Result<()> {
    let stats = tasks.stats().await?;
    let stored = stats.open() + stats.dead;
    ensure!(
        stored == 0,
        "{name} has {stored} tasks: name a file or a schema that has none, and is not in use"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_run_has_made_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let url = format!("sqlite:{}", at("new.db").display());
        let place = Place::choose(Some(&url)).unwrap();
        for name in ["new.db", "new.db-wal", "new.db-shm", "new.db.copy", "old.db"] {
            std::fs::write(at(name), "").unwrap();
        }
        let old = Place::choose(Some(&format!("sqlite:{}", at("old.db").display()))).unwrap();
        place.tidy().unwrap();
        old.tidy().unwrap();
        let names =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["new.db.copy", "old.db"]);
    }

    #[test]
    fn no_password_is_printed() {
        for (url, name) in [
            ("postgres://ann:s3cret@db:5433/shop?password=s3cret", "postgres://db:5433/shop"),
            ("postgres://ann:s3@cret?@db/shop", "postgres://db/shop"),
            ("postgres://db/shop?schema=bench", "postgres://db/shop"),
            ("sqlite:a@b.db", "sqlite:a@b.db"),
            ("memory:", "memory:"),
        ] {
            assert_eq!(Place::choose(Some(url)).unwrap().name(), name);
        }
    }

    #[tokio::test]
    async fn a_queue_that_has_tasks_is_refused() {
        let tasks =
            Client::builder().state(crate::load::Meter::default()).open("memory:").await.unwrap();
        refuse_tasks(&tasks, "memory:").await.unwrap();
        crate::load::call().on(&tasks).await.unwrap();
        let error = refuse_tasks(&tasks, "memory:").await.unwrap_err();
        assert!(error.to_string().starts_with("memory: has 1 tasks"), "{error}");
    }
}
