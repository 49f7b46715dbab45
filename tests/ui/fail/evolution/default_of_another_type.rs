use gae_tasks::deferred;

#[deferred]
async fn send(
    #[default("7")] id: u64,
    #[default(5)] text: String,
    #[default(unknown())] user: u8,
    #[default(id as u8)] other: u8,
) {
    _ = (id, text, user, other);
}

fn main() {}
