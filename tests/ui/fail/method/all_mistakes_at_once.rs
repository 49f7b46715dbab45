use gae_tasks::{Error, deferred};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[deferred(qeue = "mail", sensitive = "selv.number")]
    async fn send(&self, #[default] to: &str, lines: [Self]) {
        println!("{to} {}", self.number);
    }

    #[deferred(max_attempts = 0)]
    fn store<T>(self, #[alias("self")] value: T, (a, b): (u8, u8)) -> impl Send {
        drop(value);
        a + b
    }
}

async fn caller(invoice: Invoice) -> Result<(), Error> {
    invoice.defer_send("you", 5).await?;
    invoice.defer_store(1, (2, 3)).await?;
    Ok(())
}

fn main() {
    drop(caller(Invoice { number: 1 }));
}
