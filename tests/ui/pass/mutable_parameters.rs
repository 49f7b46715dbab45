use gae_tasks::{Client, deferred};

#[deferred]
async fn push(mut list: Vec<u8>, mut name: String) {
    list.push(3);
    name.push('!');
    assert_eq!((list, &*name), (vec![1, 2, 3], "a!"));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    let args = PushArgs { list: vec![1, 2], name: "a".to_owned() };
    assert_eq!(tasks.run(args.defer()).await.unwrap(), 1);
    assert_eq!(tasks.run(push::defer(vec![1, 2], "a")).await.unwrap(), 1);
}
