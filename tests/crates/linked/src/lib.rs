//! A crate whose tasks are known only because a program names the crate in `gae_tasks::link!`.

mod chaos;
mod reports;
