use gae_tasks::deferred;

#[deferred(args = Welcome)]
async fn first(user_id: u64) {
    println!("{user_id}");
}

#[deferred(args(Goodbye, derive(Debug, Clone, PartialEq)))]
async fn second(user_id: u64) {
    println!("{user_id}");
}

#[deferred(args(derive(Clone, serde::Serialize)))]
async fn third(user_id: u64) {
    println!("{user_id}");
}

fn main() {
    let Welcome { user_id } = Welcome { user_id: 5 };
    assert_eq!(user_id, 5);
    let goodbye = Goodbye { user_id };
    assert_eq!(goodbye.clone(), goodbye);
    assert_eq!(serde_json::to_string(&ThirdArgs { user_id }.clone()).unwrap(), "{\"user_id\":5}");
}
