use gae_tasks::{Error, deferred};

struct Batch<T, const N: usize> {
    items: [T; N],
}

#[deferred]
impl<T: Send, const N: usize> Batch<T, N> {
    #[deferred(queue = "bulk")]
    async fn send(&self, to: String, other: Self) {
        println!("{to} {} {}", self.items.len(), other.items.len());
    }

    #[deferred]
    fn of(item: T) {
        drop(item);
    }
}

async fn caller(batch: Batch<u8, 2>) -> Result<(), Error> {
    batch.defer_send("you", Batch { items: [3, 4] }).await?;
    Batch::<u8, 2>::defer_of(1).await?;
    Ok(())
}

fn main() {
    drop(caller(Batch { items: [1, 2] }));
}
