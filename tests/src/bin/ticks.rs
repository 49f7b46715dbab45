//! Ticks schedules, for tests that need several processes: see `ticks::run`.

gae_tasks::link!(gae_tasks_tests);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), gae_tasks::BoxError> {
    gae_tasks_tests::ticks::run().await
}
