#![no_implicit_prelude]

#[derive(::serde::Serialize, ::serde::Deserialize)]
struct Invoice {
    number: u64,
}

#[::gae_tasks::deferred]
impl Invoice {
    #[::gae_tasks::deferred(queue = "mail")]
    async fn send(
        &self,
        #[default("you")] to: ::std::string::String,
        #[state] greeting: &::std::string::String,
    ) -> ::core::result::Result<(), ::std::string::String> {
        ::std::assert_eq!((self.number, &*to, &**greeting), (7, "you", "hello"));
        ::core::result::Result::Ok(())
    }
}

fn main() {
    let runtime = ::tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let greeting = <::std::string::String as ::core::convert::From<&str>>::from("hello");
        let tasks = ::gae_tasks::Client::builder().state(greeting).open("memory:").await.unwrap();
        let invoice = Invoice { number: 7 };
        ::std::assert_eq!(tasks.run(invoice.defer_send("you")).await.unwrap(), 1);
    });
}
