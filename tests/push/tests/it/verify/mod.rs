//! Who calls is proven, and nobody else comes through.

mod any_bytes;
mod headers;
mod keys;
mod rotation;
mod sockets;
mod tokens;

use gae_tasks::push::verify::Oidc;
use gae_tasks::testing::ManualClock;
use gae_tasks_tests_push::issuer::{Key, Published, oidc};

/// A verifier on a clock that stands still, and the keys it has access to.
fn stage() -> (Oidc, ManualClock, Published) {
    let (clock, published) = (ManualClock::new(), Published::keys(&[Key::one()]));
    let oidc = oidc(published.clone()).clock(clock.clone()).build().unwrap();
    (oidc, clock, published)
}
