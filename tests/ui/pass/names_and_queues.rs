use gae_tasks::{Task, deferred};

#[deferred]
async fn default() {}

#[deferred(queue = "emails", name = "shop/send", alias = "shop/before")]
async fn named() {}

#[deferred(queues = ["reports-1", "reports-2"], alias = ["a", "b.c/d"])]
async fn spread() {}

fn main() {
    assert_eq!(default::QUEUES, ["default"]);
    assert_eq!((named::QUEUE, named::KIND), ("emails", "shop/send"));
    assert_eq!(spread::QUEUES, ["reports-1", "reports-2"]);
    assert_eq!(default::KIND, concat!(module_path!(), "/default"));
}
