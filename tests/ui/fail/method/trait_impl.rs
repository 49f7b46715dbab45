use gae_tasks::deferred;

trait Mailer {
    fn send(&self, to: String);
}

struct Invoice;

#[deferred]
impl Mailer for Invoice {
    #[deferred(queue = "mail", deadline = "soon")]
    fn send(&self, to: String) {
        println!("{to}");
    }
}

fn main() {
    Invoice.send(String::new());
    drop(Invoice.defer_send("you"));
}
