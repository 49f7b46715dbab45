mod door {}

#[gae_tasks::deferred(crate = crate::door)]
async fn send_welcome(user_id: u64, template: String, #[state] db: &u64) -> Result<(), String> {
    println!("{template} to {user_id} {db}");
    Ok(())
}

#[gae_tasks::deferred(crate = ::billing)]
fn report(_: u64) {}

fn main() {}
