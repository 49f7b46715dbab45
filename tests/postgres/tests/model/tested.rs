//! The backend compared with the model: a schema of its own for each life, in one database.

use std::sync::atomic::{AtomicU32, Ordering};

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::testing::Faulty;
use gae_tasks_tests_postgres::{Cluster, Database};
use tokio::sync::OnceCell;

/// Whether calls are carried out in the order in which they are made. Here they overtake each
/// other: nobody knows when a call that was dropped is over.
pub(crate) const ARE_IN_ORDER: bool = false;

/// How many lives are lived; a step takes ten round trips.
pub(crate) const CASES: u32 = 16;

static DATABASE: OnceCell<Database> = OnceCell::const_new();
static LIVES: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Tested {
    pub(crate) backend: Faulty<Postgres>,
    url: String,
}

impl Tested {
    pub(crate) async fn new() -> Self {
        let shared = async || Cluster::shared().await.database().await;
        let life = LIVES.fetch_add(1, Ordering::Relaxed);
        let url = DATABASE.get_or_init(shared).await.url();
        Self::open(format!("{url}&schema=life_{life}&max_connections=3")).await
    }

    async fn open(url: String) -> Self {
        let backend = Postgres::open(&url).await.expect("the schema opens");
        Self { backend: Faulty::new(backend), url }
    }

    /// Ends the process normally, and opens the schema again.
    pub(crate) async fn close_and_open(self) -> Self {
        let Self { backend, url } = self;
        drop(backend);
        Self::open(url).await
    }

    /// Opens the schema again after the server has lost the process, as if it was killed.
    pub(crate) async fn kill_and_open(self) -> Self {
        let database = DATABASE.get().expect("a life was begun");
        database.terminate_backends().await.expect("the server answers");
        self.close_and_open().await
    }
}
