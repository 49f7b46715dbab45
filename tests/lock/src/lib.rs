//! The tasks of a shop.
#![allow(unused_variables)] // What the tasks do does not matter here.

pub mod mail;

use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

/// What a transfer moves.
#[derive(Serialize, Deserialize)]
pub struct Transfer {
    from: u64,
    to: u64,
    cents: u32,
}

/// Moves money.
#[deferred(queue = "payments")]
pub fn transfer(transfer: Transfer, reference: String) {}

/// What a customer owes.
#[derive(Serialize, Deserialize)]
pub struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    /// Sends it.
    #[deferred(queue = "invoices")]
    pub fn send(&self, to: String) {}
}

/// Makes a report; only some builds can.
#[cfg(feature = "reports")]
#[deferred(queue = "reports")]
pub fn report(day: u32) {}

#[cfg(test)]
mod tests {
    #[gae_tasks::deferred]
    fn of_the_unit_test(id: u64) {}

    #[test]
    fn unit() {
        gae_tasks::testing::assert_lock!();
    }
}
