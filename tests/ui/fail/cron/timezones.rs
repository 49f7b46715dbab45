use gae_tasks::deferred;

#[deferred(cron = "@daily", timezone = "Europe/Pariss")]
async fn misspelt() {}

#[deferred(cron = "0 24 * * *", timezone = "New York")]
async fn both_wrong() {}

#[deferred(cron = "0 9 * * * (Europe/Paris)")]
async fn in_the_expression() {}

#[deferred(timezone = "Europe/Paris", cron_args(id = 1))]
async fn without_a_schedule(id: u64) {
    _ = id;
}

fn main() {}
