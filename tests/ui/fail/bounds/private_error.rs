mod billing {
    #[derive(Debug, thiserror::Error)]
    #[error("failed")]
    struct Failure;

    #[gae_tasks::deferred]
    pub async fn bill() -> Result<(), Failure> {
        Err(Failure)
    }
}

fn main() {}
