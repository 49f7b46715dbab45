//! Backup: copying a queue file that is in use, and going on from the copy.
//!
//! A queue is one SQLite file with a write-ahead log. While programs use it, **copy it by SQLite's
//! own means only**:
//!
//! ```text
//! sqlite3 /var/lib/shop/tasks.db "VACUUM INTO '/backup/tasks.db'"
//! ```
//!
//! That gives a whole file, as it was at one moment, and workers go on. The shell's `.backup` does
//! too, but begins anew whenever another process writes, so on a busy queue it may not end. `cp`,
//! `rsync` and snapshots of the file alone miss what is still in the log, or tear it. A snapshot of
//! a whole volume, taken at one moment, has file and log together and is fine. With every program
//! stopped, copy `tasks.db` and, if there is one, `tasks.db-wal`.
//!
//! # The other program needs a fixed SQLite
//!
//! SQLite 3.7.0 to 3.51.2 has the [WAL-reset bug](https://sqlite.org/wal.html): where several
//! connections write and checkpoint the same file, it can lose committed writes or corrupt the
//! file. It is fixed in 3.51.3, and in two older branches from 3.50.7 and 3.44.6 on.
//!
//! This crate bundles a fixed one. But **every program that opens the file takes part in
//! checkpoints**, a shell and a backup tool too: the `sqlite3` of a distribution may well be an
//! older one. Look before you schedule the job:
//!
//! ```text
//! sqlite3 --version
//! ```
//!
//! If it is older, take the backup with a program that has a fixed SQLite, for instance your own,
//! through `rusqlite` 0.39 or later, whose bundled SQLite is fixed:
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # {
//! use std::path::Path;
//! use rusqlite::Connection;
//!
//! /// Copies the queue at `file` to `copy`, which must not exist.
//! fn back_up(file: &Path, copy: &Path) -> rusqlite::Result<()> {
//!     let queue = Connection::open(file)?;
//!     queue.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
//!     Ok(())
//! }
//! # use gae_tasks::{Client, deferred};
//! # #[deferred]
//! # async fn greet(name: String) {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("gae-tasks-backup-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let (file, copy) = (folder.join("tasks.db"), folder.join("copy.db"));
//! # let tasks = Client::open(&format!("sqlite:{}", file.display())).await?;
//! # greet::defer("you").on(&tasks).await?;
//! # back_up(&file, &copy)?;
//! # let copied = Client::open(&format!("sqlite:{}", copy.display())).await?;
//! # assert_eq!(copied.stats().await?.open(), 1);
//! # drop((tasks, copied));
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! A library in the same process that brings an SQLite of its own (not through `libsqlite3-sys`)
//! must not open the file at all: when it closes the file, the process loses its locks.
//!
//! # Going on from a copy
//!
//! 1. Stop every program that uses the queue.
//! 2. Put the copy in the place of `tasks.db`, and **delete** the `tasks.db-wal` and `tasks.db-shm`
//!    of the old file.
//! 3. Start the programs.
//!
//! What to expect:
//!
//! - **Tasks that ended after the copy was taken run again.** Handlers that are
//!   [idempotent](super::idempotency) do not mind.
//! - Tasks that were deferred after it are missing, and their names are free.
//! - Tasks that ran at that moment are recovered after 30 seconds at most: where the lock file of
//!   their worker is gone, only a lease that does not change shows that nobody works on them.
//!
//! Try a restored copy on the side with `client.stats()` and `client.list(..)`; a worker would run
//! its tasks.
//!
//! # What else belongs to it
//!
//! Payloads in a [payload store](crate::payload_store) are not in the file. Take its backup *after*
//! that of the queue, so that no task lacks its payload; a task whose payload is missing becomes a
//! dead letter that says so. For as long as you may go on from a copy, do not call
//! [`sweep_payloads`](crate::Client::sweep_payloads) with a shorter time than the age of that copy;
//! payloads of tasks that are over are deleted at once and cannot be kept.
//!
//! Cloud Tasks keeps its queues itself and has no backup. A queue in Postgres is in the backups of
//! its [database](super::postgres#backups-replication).
