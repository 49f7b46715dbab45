use gae_tasks::deferred;

#[deferred]
async fn store(value: u8)
where
    u8: Copy,
{
    println!("{value}");
}

fn main() {}
