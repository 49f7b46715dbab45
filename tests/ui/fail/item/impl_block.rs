use gae_tasks::deferred;

struct Mailer;

#[deferred]
impl Mailer {
    fn send() {}
}

fn main() {
    Mailer::send();
}
