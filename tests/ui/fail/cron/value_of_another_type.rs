use gae_tasks::deferred;

#[deferred(cron = "@daily", cron_args(id = "7"))]
async fn send(id: u64) {
    _ = id;
}

fn main() {}
