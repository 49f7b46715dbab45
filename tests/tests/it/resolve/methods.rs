//! Methods: receivers whose type changes, and functions that become methods.

use super::stage::{World, versions};

versions! {
    grown {
        #[derive(Serialize, Deserialize)]
        pub struct Invoice {
            pub number: u64,
        }

        #[deferred]
        impl Invoice {
            #[deferred(name = "rolling/grown")]
            pub async fn send(&self, to: String, #[state] ran: &Ran) {
                ran.note(format!("old: {} to {to}", self.number));
            }
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Invoice {
            #[serde(default)]
            pub currency: Option<String>,
            pub number: u64,
        }

        #[deferred]
        impl Invoice {
            #[deferred(name = "rolling/grown")]
            pub async fn send(&self, #[default(1)] copies: u8, to: String, #[state] ran: &Ran) {
                ran.note(format!("new: {} {:?} {copies} to {to}", self.number, self.currency));
            }
        }
    }

    made_a_method {
        #[derive(Serialize, Deserialize)]
        pub struct Invoice {
            pub number: u64,
        }

        #[deferred(name = "rolling/made_a_method")]
        pub async fn send(to: String, invoice: Invoice, #[state] ran: &Ran) {
            ran.note(format!("old: {} to {to}", invoice.number));
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Invoice {
            pub number: u64,
        }

        #[deferred]
        impl Invoice {
            #[deferred(name = "rolling/made_a_method")]
            pub async fn send(#[alias("invoice")] self, to: String, #[state] ran: &Ran) {
                ran.note(format!("new: {} to {to}", self.number));
            }
        }
    }

    made_a_function {
        #[derive(Serialize, Deserialize)]
        pub struct Invoice {
            pub number: u64,
        }

        #[deferred]
        impl Invoice {
            #[deferred(name = "rolling/made_a_function")]
            pub fn send(&self, #[state] ran: &Ran) {
                ran.note(format!("old: {}", self.number));
            }
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Invoice {
            pub number: u64,
        }

        #[deferred(name = "rolling/made_a_function")]
        pub fn send(#[alias("self")] invoice: Invoice, #[state] ran: &Ran) {
            ran.note(format!("new: {}", invoice.number));
        }
    }

    upgraded {
        #[derive(Serialize, Deserialize)]
        pub struct Invoice {
            pub number: String,
        }

        #[deferred]
        impl Invoice {
            #[deferred(name = "rolling/upgraded_method")]
            pub async fn send(&self, #[state] ran: &Ran) {
                ran.note(format!("old: {}", self.number));
            }
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Invoice {
            pub number: u64,
        }

        #[derive(Deserialize)]
        struct SendV1 {
            #[serde(rename = "self")]
            receiver: InvoiceV1,
        }

        #[derive(Deserialize)]
        struct InvoiceV1 {
            number: String,
        }

        #[deferred]
        impl Invoice {
            fn from_v1(old: SendV1) -> Result<InvoiceSendArgs, std::num::ParseIntError> {
                Ok(InvoiceSendArgs { receiver: Self { number: old.receiver.number.parse()? } })
            }

            #[deferred(name = "rolling/upgraded_method", upgrade = Self::from_v1)]
            pub async fn send(&self, #[state] ran: &Ran) {
                ran.note(format!("new: {}", self.number));
            }
        }
    }
}

#[tokio::test]
async fn a_receiver_and_the_parameters_of_a_method_may_change() {
    use grown::{new, old};
    for world in World::each().await {
        let (before, after) =
            (world.program::<old::InvoiceSend>(), world.program::<new::InvoiceSend>());
        let call = old::Invoice { number: 7 }.defer_send("you");
        assert_eq!(world.resolves(call, &after).await, "new: 7 None 1 to you");
        let invoice = new::Invoice { currency: Some("EUR".to_owned()), number: 7 };
        let why = world.waits(invoice.defer_send(2, "you"), &before).await;
        assert!(why.contains("field `self.currency` is not known here"), "{why}");
        assert_eq!(world.run(&after).await, ["new: 7 Some(\"EUR\") 2 to you"]);
    }
}

#[tokio::test]
async fn a_function_becomes_a_method_by_an_alias_of_the_receiver() {
    use made_a_method::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::send>(), world.program::<new::InvoiceSend>());
        let call = old::send::defer("you", old::Invoice { number: 7 });
        assert_eq!(world.resolves(call, &after).await, "new: 7 to you");
        let why = world.waits(new::Invoice { number: 8 }.defer_send("you"), &before).await;
        assert!(why.contains("parameter `self` is not known here"), "{why}");
    }
}

#[tokio::test]
async fn a_method_becomes_a_function_by_an_alias_of_its_parameter() {
    use made_a_function::{new, old};
    for world in World::each().await {
        let after = world.program::<new::send>();
        let call = old::Invoice { number: 7 }.defer_send();
        assert_eq!(world.resolves(call, &after).await, "new: 7");
    }
}

#[tokio::test]
async fn an_upgrade_takes_the_receiver_as_a_field() {
    use upgraded::{new, old};
    for world in World::each().await {
        let after = world.program::<new::InvoiceSend>();
        let call = old::Invoice { number: "7".to_owned() }.defer_send();
        assert_eq!(world.resolves(call, &after).await, "new: 7");
    }
}
