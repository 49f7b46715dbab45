//! The conformance suite for every backend.

use std::sync::Arc;

use gae_tasks::backend::Pull;
use gae_tasks::backend::memory::Memory;
#[cfg(feature = "sqlite")]
use gae_tasks::backend::sqlite::Sqlite;
use gae_tasks::testing::conformance::spilling;
use gae_tasks::testing::{Faulty, ManualClock};

use super::shelf::Shelf;

gae_tasks::conformance!(memory, (Memory::new(), ()));

// Without the concrete type, as in clients and wrappers.
gae_tasks::conformance!(shared, (Arc::new(Memory::new()) as Arc<dyn Pull>, ()));

#[cfg(feature = "sqlite")]
gae_tasks::conformance!(sqlite, {
    let directory = tempfile::tempdir().expect("a directory");
    let backend =
        Sqlite::open(directory.path().join("tasks.db")).await.expect("a fresh file opens");
    (backend, directory)
});

gae_tasks::conformance!(faulty_memory, (Faulty::new(Memory::new()), ()));

#[cfg(feature = "sqlite")]
gae_tasks::conformance!(faulty_sqlite, {
    let directory = tempfile::tempdir().expect("a directory");
    let backend =
        Sqlite::open(directory.path().join("tasks.db")).await.expect("a fresh file opens");
    (Faulty::new(backend), directory)
});

// Nearly every payload spills. Leases and records then have an empty payload, and attributes with
// the payload's place; the attempt loads it. The tests in `spilling` are about the payloads
// themselves.
/// The suite for a wrapper that spills nearly every payload.
macro_rules! spilling_conformance {
    ($name:ident, $backend:expr) => {
        gae_tasks::conformance!(
            $name,
            $backend,
            differs in [
                "a_new_task_has_no_past" => crate::spilled::a_new_task_has_no_past,
                "a_large_payload_is_stored" => crate::spilled::a_large_payload_is_stored_apart,
                "a_lease_brings_a_bounded_number_of_bytes" =>
                    crate::spilled::a_lease_brings_no_bytes,
                "bytes_are_bounded_across_standings_and_lanes" =>
                    crate::spilled::no_bytes_are_counted_across_standings,
                "payloads_are_listed_only_where_they_are_asked_for" =>
                    crate::spilled::payloads_are_listed_as_empty,
            ]
        );
    };
}

spilling_conformance!(
    spilling_memory,
    (spilling(Faulty::new(Memory::new()), Shelf::default(), ManualClock::new(), 2), ())
);

#[cfg(feature = "sqlite")]
spilling_conformance!(spilling_sqlite, {
    let directory = tempfile::tempdir().expect("a directory");
    let backend =
        Sqlite::open(directory.path().join("tasks.db")).await.expect("a fresh file opens");
    (Faulty::new(spilling(backend, Shelf::default(), ManualClock::new(), 2)), directory)
});
