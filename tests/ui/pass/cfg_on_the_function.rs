#![deny(warnings)]

use gae_tasks::deferred;

struct OnlyHere;

#[deferred]
#[cfg(any())]
pub async fn gone(value: NoSuchType) {}

#[cfg(any())]
#[deferred]
pub async fn gone_too(value: NoSuchType) {}

#[deferred]
#[cfg_attr(all(), cfg(any()), allow(unused))]
pub async fn gone_as_well(value: NoSuchType) {}

#[deferred]
#[cfg(all())]
#[cfg_attr(any(), cfg(any()), deprecated)]
async fn here(value: u8) {
    println!("{value}");
}

// The names of the items without the `cfg` are free.
#[allow(dead_code, non_camel_case_types)]
mod gone {}
#[allow(dead_code)]
struct GoneTooArgs(OnlyHere);

fn main() {
    drop(here::defer(5));
    drop(GoneTooArgs(OnlyHere));
}
