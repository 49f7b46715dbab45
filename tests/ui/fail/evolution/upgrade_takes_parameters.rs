use gae_tasks::deferred;

fn from_v1(user: u64, name: String) -> SendArgs {
    _ = name;
    SendArgs { id: user }
}

#[deferred(upgrade = from_v1)]
async fn send(id: u64) {
    _ = id;
}

fn main() {}
