use gae_tasks::deferred;

#[deferred(cron = 5, timezone = Europe / Paris, cron_args = 7)]
async fn report() {}

#[deferred(cron = "@daily", cron_args(user_id))]
async fn of_a_user(user_id: u64) {
    _ = user_id;
}

#[deferred(schedule = "@daily", tz = "UTC", cron = "@daily", cron = "@weekly")]
async fn in_other_words() {}

fn main() {}
