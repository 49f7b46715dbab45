//! A check while the storage fails, changes meanwhile, or must stay as it is.

use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Enqueue, NewTask};
use gae_tasks::testing::{Fault, Faulty, Operation};
use gae_tasks::{
    Client, DeployVerdict, Kind, Now, QueueName, Registry, Shape, TaskId, TaskSpec, deferred,
};

use super::{only, stages};

mod before {
    #[gae_tasks::deferred(name = "shop.users/greet", queue = "users")]
    pub(super) async fn greet(user_id: u32) {
        _ = user_id;
    }
}

#[deferred(name = "shop.users/greet", queue = "users")]
async fn greet(user_id: u64) {
    _ = user_id;
}

async fn stage(backend: Faulty<Memory>) -> Client {
    let builder = Client::builder().registry(Registry::new().with::<greet>());
    let tasks = builder.build(backend).unwrap();
    tasks.defer_many((0..3).map(before::greet::defer)).await.unwrap();
    tasks
}

#[tokio::test]
async fn a_storage_that_fails_meanwhile_is_an_error() {
    for operation in [Operation::Survey, Operation::Schemas, Operation::Sample] {
        let backend = Faulty::new(Memory::new());
        let tasks = stage(backend.clone()).await;
        let backend = backend.with(operation, 1, Fault::Fail);
        assert!(tasks.check_deploy().await.is_err(), "{operation:?}");
        assert_eq!(backend.calls(operation), 1);
        assert!(tasks.check_deploy().await.unwrap().is_safe());
    }
}

/// Checks while `change` happens between the counting and the reading.
async fn read_meanwhile(change: impl AsyncFnOnce(&Client)) -> gae_tasks::DeployReport {
    let backend = Faulty::new(Memory::new()).with(Operation::Sample, 1, Fault::Stall);
    let tasks = stage(backend.clone()).await;
    let check = tokio::spawn(tasks.check_deploy().into_future());
    while backend.stalled() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    change(&tasks).await;
    backend.let_go();
    check.await.unwrap().unwrap()
}

#[tokio::test]
async fn tasks_that_end_or_come_meanwhile_are_no_trouble() {
    let purged = read_meanwhile(async |tasks| _ = tasks.purge("users").await.unwrap()).await;
    assert_eq!((purged.routes[0].stats.due, purged.routes[0].values.read), (3, 0));
    assert!(purged.is_safe());
    let grown = read_meanwhile(async |tasks| {
        tasks.defer_many((0..9).map(before::greet::defer)).await.unwrap();
    })
    .await;
    assert_eq!((grown.routes[0].stats.due, grown.routes[0].values.read), (3, 12));
    assert!(grown.is_safe());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_check_writes_nothing_into_the_file() {
    use gae_tasks::backend::sqlite::Sqlite;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let builder = || Client::builder().registry(Registry::new().with::<greet>());
    let tasks = builder().build(Sqlite::open(&file).await.unwrap()).unwrap();
    tasks.defer_many((0..100).map(before::greet::defer)).await.unwrap();
    let other = rusqlite::Connection::open(&file).unwrap();
    let version =
        || other.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let was = version();
    assert_eq!(tasks.check_deploy().await.unwrap().routes[0].values.read, 100);
    assert_eq!(version(), was);
    before::greet::defer(1).on(&tasks).await.unwrap();
    assert_ne!(version(), was, "a write is seen");
}

/// The first byte of a shape is the version of its algorithm.
#[tokio::test]
async fn a_shape_of_a_newer_version_is_not_called_damaged() {
    for stage in stages().await {
        let id: TaskId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let kind = Kind::new("shop.users/greet").unwrap();
        let (shape, queue) = (Shape::from_bits(2 << 56 | 7), QueueName::new("users").unwrap());
        let task = NewTask::new(TaskSpec::new(id, kind, shape, queue), vec![7], [0xff, 1, 2]);
        let request = Enqueue::new(Now::Storage, vec![task]);
        stage.backend.enqueue(request).await.unwrap().remove(0).unwrap();

        let report = stage.check(Registry::new().with::<greet>()).await;
        let DeployVerdict::Strands { reason } = &only(&report).verdict else { panic!("{report}") };
        let newer =
            "a newer version of gae-tasks made the shape of its parameters: update this program";
        assert_eq!((&**reason, report.stranded()), (newer, 1));

        let described = stage.before.describe(id).await.unwrap().unwrap();
        let why = described.args.unwrap_err().to_string();
        assert!(why.contains(newer), "{why}");
    }
}
