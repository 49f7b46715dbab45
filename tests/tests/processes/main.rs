//! Programs of several processes: what a fresh one runs, and what comes of the tasks of one that was killed.

mod instances;
mod kill;
