#![deny(clippy::pedantic, missing_docs, warnings)]
//! A crate with every lint on.

use gae_tasks::{TaskContext, deferred};

/// Takes its argument by value, though it only reads the argument.
#[deferred]
pub fn looks(text: String, bytes: Vec<u8>, #[context] cx: TaskContext) {
    println!("{} {} {}", text.len(), bytes.len(), cx.attempt());
}

fn main() {
    drop(looks::defer("text", Vec::new()));
}
