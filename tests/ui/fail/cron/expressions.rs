use gae_tasks::deferred;

#[deferred(cron = "60 25 * * *")]
async fn hourly() {}

#[deferred(cron = "0 0 9 * * MON")]
async fn weekly() {}

#[deferred(cron = "0 0 31 FEB *")]
async fn never() {}

#[deferred(cron = "every 5 minuts")]
async fn often() {}

#[deferred(cron = "@reboot")]
async fn once() {}

fn main() {}
