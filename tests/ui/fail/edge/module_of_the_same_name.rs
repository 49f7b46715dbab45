mod send_welcome {
    #[gae_tasks::deferred]
    pub async fn send_welcome() {}
}
pub use send_welcome::send_welcome;

fn main() {}
