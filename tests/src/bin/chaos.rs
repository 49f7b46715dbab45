//! Worker or producer of the chaos tests: see `chaos::run`.

gae_tasks::link!(gae_tasks_tests);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), gae_tasks::BoxError> {
    gae_tasks_tests::chaos::run().await
}
