//! Verifiers accept proven callers and refuse all others.

mod any_bytes;
mod headers;
mod keys;
mod rotation;
mod sockets;
mod tokens;

use gae_tasks::push::verify::Oidc;
use gae_tasks::testing::ManualClock;
use gae_tasks_tests_push::issuer::{Key, Published, oidc};

/// A verifier on a clock that stands still, and the issuer of its keys.
fn stage() -> (Oidc, ManualClock, Published) {
    let (clock, published) = (ManualClock::new(), Published::keys(&[Key::one()]));
    let oidc = oidc(published.clone()).clock(clock.clone()).build().unwrap();
    (oidc, clock, published)
}
