//! A worker of a queue with a rate: `rates URL`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), gae_tasks::Error> {
    let url = std::env::args().nth(1).unwrap_or_default();
    gae_tasks_tests::rates::work(&url).await
}
