use gae_tasks::deferred;

struct Order {
    id: u64,
}

#[deferred]
async fn bill(orders: Vec<Order>) {
    println!("{}", orders[0].id);
}

async fn caller() {
    bill::defer(vec![Order { id: 1 }]).await.unwrap();
}

fn main() {
    drop(caller());
}
