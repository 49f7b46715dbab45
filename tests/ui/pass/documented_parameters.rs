#![deny(missing_docs, warnings)]
//! Docs on parameters move to the fields of the args.

use gae_tasks::deferred;

/// Sends a greeting.
///
/// ```
/// panic!("this example is tested once, with the function");
/// ```
#[deferred]
#[doc(hidden)]
#[doc(alias = "greet")]
pub async fn send_welcome(
    /// Whom to greet.
    user_id: u64,
    #[doc = "What to say."] template: String,
) {
    println!("{user_id} {template}");
}

fn main() {
    drop(SendWelcomeArgs { user_id: 1, template: "a".to_owned() });
}
