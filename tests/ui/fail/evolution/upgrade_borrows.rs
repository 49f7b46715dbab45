use gae_tasks::deferred;

#[derive(serde::Deserialize)]
struct SendV1<'a> {
    user: &'a str,
}

fn from_v1(old: SendV1<'_>) -> SendArgs {
    SendArgs { id: old.user.len() as u64 }
}

#[deferred(upgrade = from_v1)]
async fn send(id: u64) {
    _ = id;
}

fn main() {}
