use gae_tasks::{Client, deferred};

macro_rules! task {
    ($name:ident, $body:block) => {
        #[deferred]
        async fn $name() -> Result<(), String> $body
    };
}

macro_rules! outer {
    ($name:ident, $body:block) => {
        task!($name, $body);
    };
}

task!(direct, { Ok(()) });
outer!(through_two, { Ok(()) });

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(direct::defer()).await.unwrap(), 1);
    assert_eq!(tasks.run(through_two::defer()).await.unwrap(), 1);
}
