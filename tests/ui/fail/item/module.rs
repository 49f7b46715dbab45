use gae_tasks::deferred;

#[deferred]
pub mod emails {
    pub fn send() {}
}

fn main() {}
