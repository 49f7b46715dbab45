#![allow(non_camel_case_types)]

// A task hides a crate of its name only in relative paths of its own module.
mod tasks {
    #[::gae_tasks::deferred]
    pub async fn core() {}

    #[::gae_tasks::deferred]
    pub async fn std(value: u8) {
        ::std::assert_eq!(value, 5);
    }

    #[::gae_tasks::deferred]
    pub async fn gae_tasks() {}

    #[::gae_tasks::deferred]
    pub async fn __private() {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = gae_tasks::Client::open("memory:").await.unwrap();
    for task in [tasks::core::defer(), tasks::std::defer(5), tasks::gae_tasks::defer(), tasks::__private::defer()] {
        assert_eq!(client.run(task).await.unwrap(), 1);
    }
}
