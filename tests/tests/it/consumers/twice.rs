//! A module that is compiled twice.

#[gae_tasks::deferred(queue = "twice", name = "consumers/twice")]
pub(super) async fn twice() {}
