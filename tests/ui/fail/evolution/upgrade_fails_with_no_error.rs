use gae_tasks::deferred;

#[derive(serde::Deserialize)]
struct SendV1 {
    user: u64,
}

struct Refused;

fn from_v1(old: SendV1) -> Result<SendArgs, Refused> {
    old.user.checked_add(1).map(|id| SendArgs { id }).ok_or(Refused)
}

#[deferred(upgrade = from_v1)]
async fn send(id: u64) {
    _ = id;
}

fn main() {}
