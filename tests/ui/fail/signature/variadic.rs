use gae_tasks::deferred;

#[deferred]
unsafe extern "C" fn store(count: i32, _: ...) {
    println!("{count}");
}

fn main() {}
