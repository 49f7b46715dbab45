//! The relay: creates the tasks of a backend that workers lease from in queues that call handlers
//! over HTTP.
//!
//! A relay is a worker with an [`Errand`](crate::worker::Errand): it leases, keeps leases, sweeps
//! and records outcomes as any worker does, and in place of an attempt it creates the task at its
//! destination (`carrier`). A task that was created is done here. If the relay dies in between, the
//! task is created again under the same name, which the destination remembers. `destination` says
//! what can be created there, and `patience` how long to wait for it.

mod carrier;
mod destination;
mod patience;

pub(crate) use self::carrier::Carrier;
pub(crate) use self::destination::Destination;
