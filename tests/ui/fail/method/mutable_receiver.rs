use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[deferred]
    async fn renumber(&mut self, number: u64) {
        self.number = number;
    }

    #[deferred]
    fn clear(self: &mut Self) {
        self.number = 0;
    }
}

async fn caller(invoice: &mut Invoice) -> Result<(), gae_tasks::Error> {
    invoice.renumber(5).await;
    invoice.defer_renumber(6).await?;
    invoice.defer_clear().await?;
    Ok(())
}

fn main() {
    drop(caller);
}
