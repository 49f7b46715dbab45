use gae_tasks::deferred;

struct Db;

#[deferred(sensitive = ["crad.number", "db", "card.number", "card.number", "pin", "old.pin", "token"], ignores = "token")]
async fn send(#[alias("old")] card: (u64, u64), #[state] db: &Db) {
    _ = (card, db);
}

fn main() {}
