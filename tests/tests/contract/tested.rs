//! The backend compared with the model: a file that can be opened again, or the model itself
//! without SQLite.

#[cfg(feature = "sqlite")]
pub(crate) use file::Tested;
#[cfg(not(feature = "sqlite"))]
pub(crate) use memory::Tested;

/// Whether calls are carried out in the order in which they are made, so that a call that was
/// dropped is over when a later one returns.
pub(crate) const ARE_IN_ORDER: bool = true;

/// How many lives are lived.
pub(crate) const CASES: u32 = 40;

#[cfg(feature = "sqlite")]
mod file {
    use std::fs;
    use std::path::{Path, PathBuf};

    use gae_tasks::backend::sqlite::Sqlite;
    use gae_tasks::testing::Faulty;
    use tempfile::TempDir;

    pub(crate) struct Tested {
        pub(crate) backend: Faulty<Sqlite>,
        folder: TempDir,
    }

    impl Tested {
        pub(crate) async fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            Self { backend: open(folder.path()).await, folder }
        }

        /// Ends the process normally, and opens the file again.
        pub(crate) async fn close_and_open(self) -> Self {
            let Self { backend, folder } = self;
            drop(backend);
            Self { backend: open(folder.path()).await, folder }
        }

        /// Opens the files as left by a process that is killed now, without cleanup.
        pub(crate) async fn kill_and_open(self) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for name in ["tasks.db", "tasks.db-wal"] {
                fs::copy(self.folder.path().join(name), folder.path().join(name)).expect("a copy");
            }
            Self { backend: open(folder.path()).await, folder }
        }
    }

    async fn open(folder: &Path) -> Faulty<Sqlite> {
        let file: PathBuf = folder.join("tasks.db");
        Faulty::new(Sqlite::open(file).await.expect("the file opens"))
    }
}

#[cfg(not(feature = "sqlite"))]
mod memory {
    use gae_tasks::backend::memory::Memory;
    use gae_tasks::testing::Faulty;

    pub(crate) struct Tested {
        pub(crate) backend: Faulty<Memory>,
    }

    impl Tested {
        pub(crate) async fn new() -> Self {
            Self { backend: Faulty::new(Memory::new()) }
        }

        pub(crate) async fn close_and_open(self) -> Self {
            self
        }

        pub(crate) async fn kill_and_open(self) -> Self {
            self
        }
    }
}
