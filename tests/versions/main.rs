//! Two versions of gae-tasks in one program: each knows and runs only its own tasks.

use std::error::Error;
use std::sync::Mutex;

/// The tasks that have run.
static RAN: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(text: String) {
    RAN.lock().unwrap().push(text);
}

mod of_now {
    #[gae_tasks::deferred]
    pub async fn greet(name: String) {
        super::note(format!("now: {name}"));
    }
}

mod of_next {
    #[next::deferred(crate = ::next)]
    pub async fn greet(name: String, times: u8) {
        super::note(format!("next: {name} {times}"));
    }

    #[next::deferred(crate = ::next)]
    pub fn clean_up() {
        super::note("next: clean".to_owned());
    }

    pub enum Report {}

    #[next::deferred(crate = ::next)]
    impl Report {
        #[next::deferred]
        pub fn print(page: u8) {
            super::note(format!("next: page {page}"));
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let now = gae_tasks::Client::open("memory:").await?;
    let next = next::Client::open("memory:").await?;
    let kinds: Vec<_> = now.registry().kinds().collect();
    assert_eq!(kinds, ["gae_tasks_tests_versions.of_now/greet"]);
    let mut kinds: Vec<_> = next.registry().kinds().collect();
    kinds.sort_unstable();
    let module = "gae_tasks_tests_versions.of_next";
    assert_eq!(kinds, ["Report.print", "clean_up", "greet"].map(|name| format!("{module}/{name}")));

    of_now::greet::defer("Ada").on(&now).await?;
    of_next::greet::defer("Ada", 2).on(&next).await?;
    of_next::clean_up::defer().on(&next).await?;
    of_next::Report::defer_print(3).on(&next).await?;
    assert_eq!((now.drain().await?, next.drain().await?), (1, 3));
    assert_eq!(*RAN.lock().unwrap(), ["now: Ada", "next: Ada 2", "next: clean", "next: page 3"]);
    println!("4 of 4 ran");
    Ok(())
}
