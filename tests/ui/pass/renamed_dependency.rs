extern crate gae_tasks as tasks;

mod door {
    pub use tasks::*;
    #[doc(hidden)]
    pub use tasks::__private;
}

#[tasks::deferred(crate = ::tasks)]
async fn absolute(value: u8) {
    assert_eq!(value, 5);
}

#[tasks::deferred(crate = crate::door)]
async fn through_a_module(value: u8) {
    assert_eq!(value, 5);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = tasks::Client::open("memory:").await.unwrap();
    assert_eq!(client.run(absolute::defer(5)).await.unwrap(), 1);
    assert_eq!(client.run(through_a_module::defer(5)).await.unwrap(), 1);
}
