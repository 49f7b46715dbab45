use gae_tasks::deferred;

#[deferred]
async fn send(
    #[default = 5] id: u64,
    #[default()] retries: u8,
    #[alias = "name"] user: String,
    #[alias] to: String,
    #[sensitive("token")] token: String,
) {
    _ = (id, retries, user, to, token);
}

fn main() {}
