use gae_tasks::deferred;

struct Invoice;

#[deferred(queue = "mail", crate = ::gae_tasks, deadlin = "1m", task = Sent)]
impl Invoice {
    #[deferred]
    fn send(to: String) {
        println!("{to}");
    }
}

fn main() {
    drop(Invoice::defer_send("you"));
}
