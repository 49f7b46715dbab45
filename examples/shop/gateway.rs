//! The payment gateway: a trait, so that tests and the program choose what stands behind it.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// The future of a charge; boxed, as the trait is used as `dyn Gateway`.
pub(crate) type Charge<'a> = Pin<Box<dyn Future<Output = Result<(), GatewayError>> + Send + 'a>>;

/// Takes money from cards.
pub(crate) trait Gateway: Send + Sync {
    /// Charges the card once for each order: a second charge of the order does nothing.
    fn charge<'a>(&'a self, order: u64, card: &'a str, cents: u64) -> Charge<'a>;
}

/// Why an order is not charged.
#[derive(Debug)]
pub(crate) enum GatewayError {
    /// A later attempt may succeed.
    Unavailable,
    /// No later attempt succeeds with this card.
    Declined,
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the gateway does not answer",
            Self::Declined => "the card is declined",
        })
    }
}

impl Error for GatewayError {}

/// A gateway that does not answer the first two calls for an order, and declines expired cards.
#[derive(Debug, Default)]
pub(crate) struct Sandbox {
    orders: Mutex<HashMap<u64, Order>>,
}

/// What the gateway remembers of an order.
#[derive(Debug, Default)]
struct Order {
    calls: u32,
    charged: Option<u64>,
}

impl Sandbox {
    /// How many cents an order was charged.
    #[cfg(test)]
    pub(crate) fn charged(&self, order: u64) -> Option<u64> {
        self.orders.lock().unwrap().get(&order).and_then(|order| order.charged)
    }

    fn charge_now(&self, order: u64, card: &str, cents: u64) -> Result<(), GatewayError> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = orders.entry(order).or_default();
        order.calls += 1;
        if order.calls <= 2 {
            return Err(GatewayError::Unavailable);
        }
        if card == "expired" {
            return Err(GatewayError::Declined);
        }
        order.charged.get_or_insert(cents);
        Ok(())
    }
}

impl Gateway for Sandbox {
    fn charge<'a>(&'a self, order: u64, card: &'a str, cents: u64) -> Charge<'a> {
        Box::pin(async move { self.charge_now(order, card, cents) })
    }
}
