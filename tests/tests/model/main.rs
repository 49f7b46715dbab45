//! Memory is the model: the same random life, lived on another backend, gives the same answers at every step.

mod step;
mod world;

use std::sync::Arc;

use gae_tasks::backend::Pull;
use gae_tasks::backend::memory::Memory;
use proptest::prelude::*;

use world::World;

/// A backend to be compared with the model, and what must live as long.
#[cfg(feature = "sqlite")]
async fn under_test() -> (Arc<dyn Pull>, impl Sized) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tasks.db");
    let backend = gae_tasks::backend::sqlite::Sqlite::open(file).await.expect("a fresh file opens");
    (Arc::new(backend), directory)
}

/// Without another backend the model is compared with itself.
#[cfg(not(feature = "sqlite"))]
async fn under_test() -> (Arc<dyn Pull>, impl Sized) {
    (Arc::new(Memory::new()), ())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_backend_lives_the_same_life(steps in prop::collection::vec(step::any_step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (backend, _kept) = under_test().await;
            let mut world = World::new(Arc::new(Memory::new()), backend);
            for step in steps {
                world.take(step).await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}
