use gae_tasks::deferred;

#[derive(serde::Deserialize)]
struct SendV1 {
    user: u64,
}

fn from_v1(old: SendV1) -> OtherArgs {
    OtherArgs { id: old.user }
}

#[deferred]
async fn other(id: u64) {
    _ = id;
}

#[deferred(upgrade = [from_v1, from_v0])]
async fn send(id: u64) {
    _ = id;
}

fn main() {}
