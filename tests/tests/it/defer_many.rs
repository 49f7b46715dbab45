//! Deferring many tasks inside a handler, whose future a worker moves between threads.

use gae_tasks::{Client, Error, deferred};

#[deferred]
async fn send(user: u32, template: String) {
    println!("{template} {user}");
}

/// The closures borrow values of the handler.
#[deferred]
async fn send_to_all(
    users: Vec<u32>,
    template: String,
    #[state] twice: &bool,
) -> Result<(), Error> {
    let tasks = Client::current().expect("a handler is in the scope of its client");
    tasks.defer_many(users.iter().map(|user| send::defer(*user, template.as_str()))).await?;
    if *twice {
        let even = users.into_iter().filter(|user| user % 2 == 0);
        tasks.defer_many(even.map(|user| send::defer(user, template.as_str()))).await?;
    }
    Ok(())
}

async fn client() -> Client {
    let builder = Client::builder().registry(crate::tasks_of(module_path!()));
    builder.state(true).open("memory:").await.unwrap()
}

#[tokio::test]
async fn a_handler_defers_many_from_an_iterator_that_borrows() {
    let tasks = client().await;
    send_to_all::defer(vec![1, 2, 3], "hi").on(&tasks).await.unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 1 + 3 + 1);
}

#[tokio::test]
async fn the_future_of_many_holds_neither_the_iterator_nor_the_client() {
    let tasks = client().await;
    let mut made = 0;
    let stored = tasks.defer_many((0..3).map(|user| {
        made += 1;
        send::defer(user, "hi")
    }));
    assert_eq!(made, 3);
    assert_eq!(tasks.stats().await.unwrap().open(), 0, "nothing is stored before the `.await`");
    assert_eq!(tokio::spawn(stored).await.unwrap().unwrap().len(), 3);
    assert_eq!(tasks.stats().await.unwrap().open(), 3);
}
