//! Leasing, settling and sweeping in Postgres, beside what others do to the same rows.

mod buckets;
mod cancel;
mod commits;
mod conflicts;
mod guesses;
mod held;
mod limits;
mod lost_rows;
mod many_queues;
mod moved;
mod presence;
mod priorities;
mod rows;
mod rules;
mod schedules;
mod snapshot;
mod snapshot_late;
mod stage;
mod unique;
mod workers;
