use gae_tasks::deferred;

#[deferred]
async fn store(#[state] value: &mut Vec<u8>) {
    value.clear();
}

fn main() {}
