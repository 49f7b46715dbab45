use gae_tasks::deferred;

#[derive(serde::Deserialize)]
struct SendV1 {
    user: u64,
}

#[deferred(upgrade = SendV1)]
async fn send(id: u64) {
    _ = id;
}

fn main() {
    _ = SendV1 { user: 1 }.user;
}
