use gae_tasks::deferred;

struct Db;

#[deferred(unique_by = ["usr", "db", "old", "note", "note"])]
async fn send(#[alias("old")] user: u64, note: String, #[state] db: &Db) {
    _ = (user, note, db);
}

#[deferred(unique_by = [])]
async fn empty() {}

fn main() {}
