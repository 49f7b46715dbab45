use gae_tasks::deferred;

#[deferred]
async fn send_receipt(order: u64) {}

fn main() {
    let mut order = 7;
    let _ = send_receipt::defer(order).in_tx(&mut order);
}
