use gae_tasks::deferred;

#[derive(serde::Deserialize)]
struct SendV1 {
    user: u64,
}

fn from_v1(old: SendV1) -> SendArgs {
    SendArgs { id: old.user }
}

#[deferred(upgrade = [from_v1, self::from_v1, from_v1])]
async fn send(id: u64) {
    _ = id;
}

fn main() {}
