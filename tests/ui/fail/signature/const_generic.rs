use gae_tasks::deferred;

#[deferred]
async fn store<const N: usize>(value: [u8; N]) {
    drop(value);
}

fn main() {}
