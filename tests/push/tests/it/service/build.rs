//! What a service is not built without, and of what its owner is warned.

use std::time::Duration;

use gae_tasks::{Client, Error, Registry, deferred};

use super::stage::{Secret, World, end};

fn problems(built: Result<gae_tasks::push::PushService, Error>) -> Vec<String> {
    match built.unwrap_err() {
        Error::Misconfigured { problems, .. } => problems,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_problem_is_told_at_once_with_its_choices() {
    let client = Client::builder().registry(Registry::new().with::<end>()).open("memory:").await.unwrap();
    let problems = problems(client.push_service().prefix("tasks/{kind}").build());
    assert_eq!(problems.len(), 4, "{problems:#?}");
    for (problem, parts) in problems.iter().zip([
        &["takes state of type"][..],
        &["`.verify(..)`", "Oidc", "AppEngine", "PlatformAuthenticated", "SharedSecret"],
        &[".dead_letters(&client)", ".dead_letters_to(", ".log_dead_letters()"],
        &["`tasks/{kind}` is no prefix"],
    ]) {
        for part in parts {
            assert!(problem.contains(part), "`{part}` is missing: {problem}");
        }
    }
}

#[test]
fn a_service_that_would_refuse_every_request_is_not_built() {
    let world = World::with(Registry::new().with::<idle>());
    let builder = world.client.push_service().verify(Secret).log_dead_letters();
    let problems = problems(builder.concurrency(0).build());
    assert!(problems.len() == 1 && problems[0].contains("`.concurrency(0)`"), "{problems:#?}");
}

#[deferred(name = "shop.build/idle")]
async fn idle() {}

#[test]
fn outside_of_a_runtime_it_builds_too() {
    let world = World::with(Registry::new().with::<idle>());
    let builder = world.client.push_service().verify(Secret).log_dead_letters();
    let service = builder.prefix("/tasks/").body_within(Duration::from_secs(1)).build().unwrap();
    assert_eq!(service.prefix(), "/tasks");
}
