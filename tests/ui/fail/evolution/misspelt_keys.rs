use gae_tasks::deferred;

#[deferred(upgrades = [from_v1], ignore = ["note"], redact = ["id"])]
async fn send(id: u64) {
    _ = id;
}

fn main() {}
