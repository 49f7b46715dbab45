use gae_tasks::deferred;

#[deferred]
async fn store(value: u8, #[cfg_attr(unix, allow(unused))] mode: u32) {
    println!("{value}");
}

fn main() {}
