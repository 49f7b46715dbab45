//! Every backend keeps the contract: the whole suite, stamped once for each.

use gae_tasks::backend::memory::Memory;

gae_tasks::conformance!(memory, (Memory::new(), ()));

#[cfg(feature = "sqlite")]
gae_tasks::conformance!(sqlite, {
    let folder = tempfile::tempdir().unwrap();
    (gae_tasks::backend::sqlite::Sqlite::open(folder.path().join("tasks.db")).await.unwrap(), folder)
});
