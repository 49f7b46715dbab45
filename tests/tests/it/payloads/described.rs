//! Payloads in a payload store are loaded to be shown.

use gae_tasks::Client;

use super::shelf::{Trouble, World, key, takes, text};

async fn args(world: &World, id: gae_tasks::TaskId) -> Result<String, String> {
    let described = world.tasks.describe(id).await.unwrap().expect("it is stored");
    described.args.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_payload_in_a_store_is_loaded_to_be_shown() {
    for world in World::on_each().await {
        let id = world.spill().await;
        assert_eq!(args(&world, id).await, Ok(format!("{{\"text\":\"{}\"}}", text(1000))));
        let record = world.tasks.get(id).await.unwrap().unwrap();
        let error = record.args_json().unwrap_err().to_string();
        assert!(error.contains("`Client::describe` loads it"), "{error}");
    }
}

#[tokio::test]
async fn a_payload_that_cannot_be_loaded_is_said_so() {
    for world in World::on_each().await {
        let id = world.spill().await;
        for (trouble, expected) in [
            (Trouble::Down, "the shelf is down"),
            (Trouble::Panics, "panicked: the shelf is broken"),
        ] {
            world.shelf.have(trouble);
            let error = args(&world, id).await.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        world.shelf.have(Trouble::None);
        world.shelf.kept().get_mut(&key(id)).unwrap().0[5] = b'y';
        let error = args(&world, id).await.unwrap_err();
        assert!(error.contains("truncated or changed"), "{error}");
    }
}

#[tokio::test]
async fn a_payload_above_a_mebibyte_is_not_loaded() {
    let (world, _) = World::faulty();
    let at_most = takes::defer(text(1024 * 1024 - 3)).on(&world.tasks).await.unwrap().id;
    assert!(args(&world, at_most).await.is_ok());
    let large = takes::defer(text(1024 * 1024)).on(&world.tasks).await.unwrap().id;
    world.shelf.have(Trouble::Down);
    let error = args(&world, large).await.unwrap_err();
    assert!(error.contains("it has 1048579 bytes, and at most 1048576 are loaded"), "{error}");
}

#[tokio::test]
async fn a_client_without_the_store_says_so() {
    let (world, backend) = World::faulty();
    let id = world.spill().await;
    let other = Client::builder().build(backend).unwrap();
    let error = other.describe(id).await.unwrap().unwrap().args.unwrap_err().to_string();
    assert!(error.contains("but the client has no payload store"), "{error}");
}
