//! The tasks of an order: it is charged, then its receipt is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use gae_tasks::{PermanentTaskFailure, deferred};

use crate::gateway::{Gateway, GatewayError};

/// Charges an order. An outage of the gateway is retried: after 1 second, 2 seconds, 4 seconds, ..
/// A card that is declined is declined again, so the task becomes a dead letter at once.
#[deferred(queue = "payments", max_attempts = 8, min_backoff = "1s")]
pub(crate) async fn charge(
    order: u64,
    customer: String,
    cents: u64,
    #[state] gateway: &Arc<dyn Gateway>,
    #[state] customers: &Customers,
) -> Result<()> {
    // The card is looked up by each attempt and is no argument: a replay uses the corrected one.
    let Some(card) = customers.card(&customer) else {
        return Err(PermanentTaskFailure::new(format!("there is no customer {customer}")).into());
    };
    match gateway.charge(order, &card, cents).await {
        Err(declined @ GatewayError::Declined) => {
            let failure = PermanentTaskFailure::new(format!("order {order} of {customer}"));
            return Err(failure.because(declined).into());
        }
        answer => answer?,
    }
    // The name: a second attempt, after a crash at this point, defers no second receipt.
    send_receipt::defer(order, customer).named(format!("receipt-{order}")).await?;
    Ok(())
}

/// Sends the receipt of an order.
#[deferred(queue = "emails")]
pub(crate) async fn send_receipt(order: u64, customer: String) {
    println!("receipt of order {order} sent to {customer}");
}

/// The customers and their cards: in memory, where a shop has a database.
#[derive(Debug, Clone)]
pub(crate) struct Customers(Arc<Mutex<BTreeMap<String, String>>>);

impl Default for Customers {
    /// Ada's card works, Bob's has expired.
    fn default() -> Self {
        let cards = [("ada", "1111"), ("bob", "expired")];
        let cards = cards.map(|(customer, card)| (customer.to_owned(), card.to_owned()));
        Self(Arc::new(Mutex::new(BTreeMap::from(cards))))
    }
}

impl Customers {
    /// The customer's card.
    pub(crate) fn card(&self, customer: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(customer).cloned()
    }

    /// Stores a customer with this card.
    pub(crate) fn put(&self, customer: String, card: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(customer, card);
    }
}
