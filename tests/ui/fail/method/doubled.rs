use gae_tasks::deferred;

struct Invoice;

#[deferred]
#[deferred(crate = ::gae_tasks)]
impl Invoice {
    #[deferred(queue = "mail")]
    #[deferred(deadline = "1m")]
    fn send(to: String) {
        println!("{to}");
    }
}

fn main() {
    drop(Invoice::defer_send("you"));
}
