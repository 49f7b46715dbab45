use gae_tasks::deferred;

#[deferred]
macro_rules! send {
    () => {};
}

fn main() {
    send!();
}
