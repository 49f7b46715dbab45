use gae_tasks::deferred;

#[deferred]
async fn store(value: u8, #[cfg(unix)] mode: u32) {
    println!("{value} {mode}");
}

fn main() {}
