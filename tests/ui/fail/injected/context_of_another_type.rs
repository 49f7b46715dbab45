use gae_tasks::deferred;

#[deferred]
async fn store(#[context] cx: &std::task::Waker) {
    println!("{cx:?}");
}

fn main() {}
