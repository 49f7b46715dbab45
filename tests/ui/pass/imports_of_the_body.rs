#![deny(warnings, unused_imports)]

// The body is not moved: imports used only by the body count as used, and no argument is cloned.
use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Unique(u8);

#[gae_tasks::deferred]
async fn writes(unique: Unique) -> std::fmt::Result {
    let Unique(number) = unique;
    let mut text = String::new();
    write!(text, "{:?}", BTreeMap::from([(number, number)]))?;
    assert_eq!(text, "{7: 7}");
    Ok(())
}

mod caller {
    // Deferring needs no import of a trait.
    pub fn defer() -> gae_tasks::Defer {
        super::writes::defer(super::Unique(7))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = gae_tasks::Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(caller::defer()).await.unwrap(), 1);
    writes(Unique(7)).await.unwrap();
}
