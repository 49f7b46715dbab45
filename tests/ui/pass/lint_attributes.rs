#![deny(warnings)]

use gae_tasks::deferred;

#[deferred]
#[allow(non_snake_case, clippy::too_many_arguments)]
#[expect(unused_mut, reason = "lint attributes stay with the function")]
#[must_use]
#[inline]
#[track_caller]
fn SendWelcome(mut UserId: u64, #[allow(unused)] template: String) -> Result<(), String> {
    println!("{UserId}");
    Ok(())
}

fn main() {
    SendWelcome(5, String::new()).unwrap();
    drop(SendWelcome::defer(5, "a"));
    drop(SendWelcomeArgs { UserId: 5, template: String::new() });
}
