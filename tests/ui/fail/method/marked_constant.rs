use gae_tasks::deferred;

struct Invoice;

#[deferred]
impl Invoice {
    #[deferred]
    const LIMIT: u64 = 5;
}

fn main() {
    println!("{}", Invoice::LIMIT);
}
