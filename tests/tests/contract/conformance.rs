//! Every backend keeps the contract: the whole suite, stamped once for each.

use std::sync::Arc;

use gae_tasks::backend::Pull;
use gae_tasks::backend::memory::Memory;
#[cfg(feature = "sqlite")]
use gae_tasks::backend::sqlite::Sqlite;

gae_tasks::conformance!(memory, (Memory::new(), ()));

// Without its type, as clients and wrappers hold it.
gae_tasks::conformance!(shared, (Arc::new(Memory::new()) as Arc<dyn Pull>, ()));

#[cfg(feature = "sqlite")]
gae_tasks::conformance!(sqlite, {
    let directory = tempfile::tempdir().expect("a directory");
    let backend = Sqlite::open(directory.path().join("tasks.db")).await.expect("a fresh file opens");
    (backend, directory)
});
