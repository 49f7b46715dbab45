use std::sync::Arc;

use gae_tasks::__private::{CronDeclaration, decode};
use gae_tasks::{Task, deferred};
use serde::{Deserialize, Serialize};

const NIGHTLY: &str = "30 2 * * *";

mod zones {
    pub const OFFICE: &str = "America/New_York";
}

struct Db(Arc<str>);

#[deferred(queue = "reports", cron = "0 9 * * MON-FRI", timezone = "Europe/Paris")]
async fn without_parameters() {}

#[deferred(
    cron = NIGHTLY,
    timezone = zones::OFFICE,
    cron_args(user_id = 3 + four(), to = "you", from = Some("me".to_owned()), r#type = 1),
)]
async fn with_values(
    #[state] db: &Db,
    user_id: u64,
    to: String,
    from: Option<String>,
    #[default] page: u32,
    #[default(four() + 1)] size: u64,
    note: std::option::Option<String>,
    r#type: u8,
) {
    _ = (&db.0, user_id, to, from, page, size, note, r#type);
}

fn four() -> u64 {
    4
}

#[deferred(cron = concat!("every ", "5 minutes"))]
fn often() {}

macro_rules! scheduled {
    ($name:ident, $cron:literal, $id:expr) => {
        #[deferred(cron = $cron, cron_args(id = $id))]
        fn $name(id: u64) {
            _ = id;
        }
    };
}

scheduled!(made_by_a_macro, "1st monday of sep,oct,nov 17:00", 5);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    const CRON: &'static str = "@daily";

    #[deferred(cron = Self::CRON)]
    async fn close_all() {}

    #[deferred(cron = "@weekly", cron_args(self = Self { number: 8 }, to = "you"))]
    async fn send(&self, to: String) {
        _ = (self.number, to);
    }
}

// Not sent: the receiver is the client's state.
#[deferred]
impl Db {
    #[deferred(cron = "@hourly")]
    async fn vacuum(#[state] &self) {
        _ = &self.0;
    }
}

fn declared<T: Task>() -> &'static CronDeclaration {
    T::registration().cron.as_ref().expect("a schedule")
}

fn shown<T: Task>() -> String {
    declared::<T>().cron().unwrap().to_string()
}

fn bytes<T: Task>() -> Vec<u8> {
    (declared::<T>().args)().unwrap()
}

fn main() {
    assert_eq!(shown::<without_parameters>(), "0 9 * * MON-FRI (Europe/Paris)");
    assert_eq!(shown::<with_values>(), "30 2 * * * (America/New_York)");
    assert_eq!(shown::<often>(), "every 5 minutes");
    assert_eq!(shown::<made_by_a_macro>(), "1st mon of sep,oct,nov 17:00");
    assert_eq!(shown::<InvoiceCloseAll>(), "0 0 * * *");
    assert_eq!(shown::<InvoiceSend>(), "0 0 * * 0");
    assert_eq!(shown::<DbVacuum>(), "0 * * * *");

    assert!(bytes::<without_parameters>().is_empty());
    let args: WithValuesArgs = decode(&bytes::<with_values>()).unwrap();
    assert_eq!((args.user_id, args.to.as_str()), (7, "you"));
    assert_eq!(args.from.as_deref(), Some("me"));
    assert_eq!((args.page, args.size, args.note, args.r#type), (0, 5, None, 1));
    let args: MadeByAMacroArgs = decode(&bytes::<made_by_a_macro>()).unwrap();
    assert_eq!(args.id, 5);
    let args: InvoiceSendArgs = decode(&bytes::<InvoiceSend>()).unwrap();
    assert_eq!((args.receiver, args.to.as_str()), (Invoice { number: 8 }, "you"));
}
