#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub, unused, warnings)]
#![deny(future_incompatible, nonstandard_style, rust_2018_idioms, private_interfaces, unused_qualifications)]
//! A crate with strict lints, whose tasks are methods.

use gae_tasks::{Task, TaskContext, deferred};
use serde::{Deserialize, Serialize};

/// An invoice.
#[derive(Debug, Serialize, Deserialize)]
pub struct Invoice {
    number: u64,
}

/// What a reminder took first.
#[derive(Debug, Deserialize)]
struct RemindV1 {
    #[serde(rename = "self")]
    invoice: Invoice,
}

/// Tasks of invoices.
#[deferred]
impl Invoice {
    /// How often a customer is reminded.
    pub const LIMIT: u8 = 3;

    /// Sends it.
    ///
    /// ```
    /// panic!("this example is tested once, with the method");
    /// ```
    #[deferred(queue = "mail", sensitive = "self.number", args(derive(Debug)))]
    pub async fn send(
        /// The invoice that is sent.
        #[alias("invoice")]
        &self,
        /// To whom.
        to: String,
        #[context] cx: &TaskContext,
    ) -> Result<(), std::io::Error> {
        println!("{} {to} {cx:?}", self.number);
        Ok(())
    }

    /// Reminds of it.
    #[deferred(upgrade = Self::from_v1)]
    #[doc(hidden)]
    pub fn remind(self, #[default(Self::LIMIT)] times: u8, #[sensitive] note: Option<Vec<u8>>) {
        println!("{} {times} {note:?}", self.number);
    }

    fn from_v1(old: RemindV1) -> InvoiceRemindArgs {
        InvoiceRemindArgs { receiver: old.invoice, times: Self::LIMIT, note: None }
    }

    /// No longer used.
    #[deferred]
    #[deprecated = "use `send`"]
    pub fn fax(&self) {
        println!("{}", self.number);
    }

    /// Never deferred here.
    #[deferred]
    pub(crate) fn create(#[allow(unused)] first: u8, _: u16) {}
}

mod inner {
    use super::Invoice;

    #[gae_tasks::deferred]
    impl Invoice {
        #[gae_tasks::deferred]
        async fn private(&self) {
            println!("{}", self.number);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = gae_tasks::Client::open("memory:").await.unwrap();
    let invoice = Invoice { number: 7 };
    tasks.run(invoice.defer_send("you")).await.unwrap();
    tasks.run(invoice.defer_remind(1, None)).await.unwrap();
    assert_eq!(InvoiceSend::registration().parameters[0].aliases, ["invoice"]);
    assert_eq!(InvoiceRemind::registration().upgrades[0].name, "Invoice::from_v1");
    let args = InvoiceSendArgs { receiver: invoice, to: "you".to_owned() };
    assert_eq!(format!("{args:?}"), "InvoiceSendArgs { receiver: Invoice { number: 7 }, to: \"you\" }");
}
