use gae_tasks::{TaskContext, deferred};

struct Db;

#[deferred]
async fn send(
    id: u64,
    #[state]
    #[default]
    db: &Db,
    #[sensitive]
    #[alias("ctx")]
    #[context]
    cx: &TaskContext,
) {
    _ = (id, db, cx);
}

fn main() {}
