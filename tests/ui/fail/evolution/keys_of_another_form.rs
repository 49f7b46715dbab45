use gae_tasks::deferred;

#[deferred(upgrade = "from_v1", ignores = note, sensitive = [card.number])]
async fn send(id: u64) {
    _ = id;
}

fn main() {}
