#![no_implicit_prelude]

#[::gae_tasks::deferred(queue = "emails", deadline = "30s", max_attempts = 3, upgrade = from_v1)]
async fn send_welcome(
    #[default] user_id: u64,
    #[default("hi")] template: ::std::string::String,
    #[state] greeting: &::std::string::String,
    #[context] cx: &::gae_tasks::TaskContext,
) -> ::core::result::Result<(), ::std::string::String> {
    ::std::assert_eq!((user_id, &*template, &**greeting, cx.attempt()), (7, "hi", "hello", 1));
    ::core::result::Result::Ok(())
}

#[derive(::serde::Deserialize)]
struct SendWelcomeV1 {
    user: u64,
}

fn from_v1(old: SendWelcomeV1) -> ::core::result::Result<SendWelcomeArgs, ::std::string::String> {
    let template = <::std::string::String as ::core::convert::From<&str>>::from("hi");
    ::core::result::Result::Ok(SendWelcomeArgs { user_id: old.user, template })
}

fn main() {
    let runtime = ::tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let greeting = <::std::string::String as ::core::convert::From<&str>>::from("hello");
        let tasks = ::gae_tasks::Client::builder().state(greeting).open("memory:").await.unwrap();
        ::std::assert_eq!(tasks.run(send_welcome::defer(7, "hi")).await.unwrap(), 1);
    });
}
