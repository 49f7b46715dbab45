use gae_tasks::deferred;

#[deferred]
async fn str(text: String) {
    println!("{text}");
}

fn main() {}
