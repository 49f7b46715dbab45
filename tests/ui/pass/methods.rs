use std::sync::Arc;

use gae_tasks::{Client, Registry, Task, TaskContext, deferred};
use serde::{Deserialize, Serialize};

// Not `Clone`: a receiver is encoded where it is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

struct Mail(Arc<str>);

#[deferred]
impl Invoice {
    const LIMIT: u64 = 5;

    #[deferred(queue = "mail", deadline = "30s")]
    async fn send(&self, to: String, #[state] mail: &Mail, #[context] cx: &TaskContext) -> Result<(), String> {
        assert_eq!((self.number, &*to, &*mail.0, cx.attempt()), (7, "you", "smtp", 1));
        Ok(())
    }

    #[deferred(task = Archived)]
    fn archive(mut self, _: u8) {
        self.number += 1;
        assert_eq!(self.number, 8);
    }

    #[deferred]
    async fn create(number: u64, like: Option<Self>) -> Result<Self, String> {
        assert_eq!((number, like), (Self::LIMIT, Some(Self { number: 7 })));
        Ok(Self { number })
    }

    #[deferred(args = Typed)]
    async fn typed(self: &Self, other: [Self; Self::LIMIT as usize - 3]) {
        assert_eq!(self, &other[1]);
    }

    fn not_a_task(&self) -> u64 {
        self.number
    }
}

// Not sent: the receiver is the client's state.
#[deferred]
impl Mail {
    #[deferred]
    async fn ping(#[state] &self, times: u8) {
        assert_eq!((&*self.0, times), ("smtp", 3));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::builder().state(Mail("smtp".into())).open("memory:").await.unwrap();
    let invoice = Invoice { number: 7 };
    for task in [
        invoice.defer_send("you"),
        invoice.defer_archive(1),
        Invoice::defer_create(5, Some(Invoice { number: 7 })),
        invoice.defer_typed([Invoice { number: 1 }, Invoice { number: 7 }]),
        Mail::defer_ping(3),
        InvoiceSendArgs { receiver: Invoice { number: 7 }, to: "you".into() }.defer(),
        InvoiceArchiveArgs { receiver: Invoice { number: 7 }, arg1: 1 }.defer(),
        InvoiceCreateArgs { number: 5, like: Some(Invoice { number: 7 }) }.defer(),
        MailPingArgs { times: 3 }.defer(),
    ] {
        assert_eq!(tasks.run(task).await.unwrap(), 1);
    }
    assert_eq!(invoice.not_a_task(), 7);
    assert!(InvoiceSend::KIND.ends_with("/Invoice.send"), "{}", InvoiceSend::KIND);
    assert_eq!((InvoiceSend::QUEUE, InvoiceCreate::QUEUE), ("mail", "default"));
    assert_eq!(Registry::new().with::<Archived>().kinds().next(), Some(Archived::KIND));
    let schema = |registration: &gae_tasks::__private::Registration| registration.schema().unwrap().to_string();
    assert_eq!(schema(InvoiceSend::registration()), "(self: {number: u64}, to: String)");
    assert_eq!(schema(InvoiceTyped::registration()), "(self: #1 {number: u64}, other: [#1; 2])");
    // Methods as before.
    invoice.send("you".into(), &Mail("smtp".into()), &TaskContext::for_test()).await.unwrap();
    invoice.archive(0);
    drop(Typed { receiver: Invoice { number: 0 }, other: [Invoice { number: 0 }, Invoice { number: 0 }] });
}
