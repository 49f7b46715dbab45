use gae_tasks::deferred;

struct Invoice;

#[deferred]
impl Invoice {
    #[deferred = "mail"]
    fn send(to: String) {
        println!("{to}");
    }
}

fn main() {
    drop(Invoice::defer_send("you"));
}
