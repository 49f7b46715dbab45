use gae_tasks::deferred;

#[deferred]
async fn store(_: u8, arg0: u8) {
    println!("{arg0}");
}

fn main() {}
