use gae_tasks::deferred;

struct Point {
    x: u8,
}

#[deferred]
async fn store(Point { x }: Point) {
    println!("{x}");
}

fn main() {}
