#![deny(missing_docs, warnings)]
//! A crate whose lints cause no further errors.

use gae_tasks::deferred;

/// Greets.
#[deferred(queue = "")]
#[deprecated]
pub async fn send_welcome(template: String) {
    println!("{template}");
}

fn main() {}
