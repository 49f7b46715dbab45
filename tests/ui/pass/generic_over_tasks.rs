use gae_tasks::{Args, Client, Defer, Task, deferred};

pub fn later<T: Task>(args: T::Args) -> Defer {
    Defer::new(&args)
}

pub fn of_args<A: Args>(args: &A) -> Defer {
    Defer::new(args)
}

#[deferred]
async fn work(number: u8) {
    assert_eq!(number, 5);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(later::<work>(WorkArgs { number: 5 })).await.unwrap(), 1);
    assert_eq!(tasks.run(of_args(&WorkArgs { number: 5 })).await.unwrap(), 1);
}
