#![allow(non_camel_case_types)]

use gae_tasks::{Client, Task, deferred};

mod r#mod {
    #[gae_tasks::deferred]
    pub async fn r#type(r#match: u8) {
        assert_eq!(r#match, 5);
    }
}

#[deferred(task = r#struct, args = r#enum)]
async fn work(r#fn: u8) {
    assert_eq!(r#fn, 5);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(r#mod::r#type::defer(5)).await.unwrap(), 1);
    assert_eq!(tasks.run(r#mod::TypeArgs { r#match: 5 }.defer()).await.unwrap(), 1);
    assert_eq!(tasks.run(r#enum { r#fn: 5 }.defer()).await.unwrap(), 1);
    assert!(r#mod::r#type::KIND.ends_with(".mod/type"), "{}", r#mod::r#type::KIND);
    assert!(r#struct::KIND.ends_with("/work"));
}
