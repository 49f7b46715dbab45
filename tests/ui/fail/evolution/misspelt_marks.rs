use gae_tasks::deferred;

#[deferred]
async fn send(
    #[defaults] id: u64,
    #[aliases("name")] user: String,
    #[secret] token: String,
    #[serde(default)] retries: u8,
) {
    _ = (id, user, token, retries);
}

fn main() {}
