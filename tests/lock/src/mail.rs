//! Mails.

use gae_tasks::deferred;

/// Welcomes a customer.
#[deferred(queue = "emails")]
pub fn send_welcome(customer: u64) {}
