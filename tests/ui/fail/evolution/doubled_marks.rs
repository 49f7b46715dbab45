use gae_tasks::deferred;

#[deferred]
async fn send(
    #[default]
    #[default(7)]
    id: u64,
    #[sensitive]
    #[sensitive]
    token: String,
) {
    _ = (id, token);
}

fn main() {}
