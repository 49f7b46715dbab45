use gae_tasks::{TaskContext, deferred};

#[deferred(
    cron = "@daily",
    cron_args(usr_id = 1, weekday = 2, cx = 3, note = 4, note = 5),
)]
async fn report(
    user_id: u64,
    month: u8,
    note: u8,
    #[default] year: u16,
    tag: Option<String>,
    #[context] cx: &TaskContext,
    _: bool,
) {
    _ = (user_id, month, note, year, tag, cx);
}

fn main() {}
