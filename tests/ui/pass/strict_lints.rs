#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub, unused, warnings)]
#![deny(future_incompatible, nonstandard_style, rust_2018_idioms, private_interfaces, unused_qualifications)]
//! A crate with strict lints.

use gae_tasks::{TaskContext, deferred};

/// Sends a greeting.
#[deferred(queue = "emails")]
pub async fn send_welcome(user_id: u64, template: String, #[context] cx: &TaskContext) -> Result<(), std::io::Error> {
    println!("{user_id} {template} {cx:?}");
    Ok(())
}

mod inner {
    /// Never deferred here.
    #[gae_tasks::deferred]
    pub(crate) fn unused(#[allow(unused)] first: u8, _: u16) {}
}

#[gae_tasks::deferred]
fn private() {}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = gae_tasks::Client::open("memory:").await.unwrap();
    tasks.run(send_welcome::defer(7, "hi")).await.unwrap();
}
