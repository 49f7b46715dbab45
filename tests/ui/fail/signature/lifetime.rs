use gae_tasks::deferred;

#[deferred]
async fn store<'a>(#[state] names: &'a Vec<String>) {
    println!("{names:?}");
}

fn main() {}
