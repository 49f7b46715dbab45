use gae_tasks::deferred;

#[deferred]
async fn name(#[state] name: &String) -> Result<&str, String> {
    Ok(name)
}

fn main() {}
