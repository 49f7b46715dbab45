use gae_tasks::deferred;

trait Mailer {}

#[deferred]
impl dyn Mailer {
    #[deferred]
    fn send(to: String) {
        println!("{to}");
    }
}

fn main() {
    <dyn Mailer>::send(String::new());
}
