//! The requirements for building a service, and the warnings at the start.

use std::process::Command;
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
    let client =
        Client::builder().registry(Registry::new().with::<end>()).open("memory:").await.unwrap();
    let problems = problems(client.push_service().prefix("tasks/{kind}").build());
    assert_eq!(problems.len(), 4, "{problems:#?}");
    for (problem, parts) in problems.iter().zip([
        &["takes state of type"][..],
        &["`.verify(..)`", "Oidc", "AppEngine", "PlatformAuthenticated", "SharedSecret"],
        &[".dead_letters(&client)", ".dead_letters_to(", ".log_dead_letters()"],
        &["`tasks/{kind}` is not a valid URL prefix"],
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

/// Runs in a process of its own with the environment of a platform.
#[test]
fn dead_letters_on_the_disk_of_an_instance_are_a_warning_on_known_platforms() {
    let lines = |platform: Option<&str>| {
        let name = "service::build::child_that_keeps_dead_letters_in_a_file";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", name, "--nocapture"]).env("KEEPS_DEAD_LETTERS", "yes");
        for variable in ["K_SERVICE", "CLOUD_RUN_JOB", "GAE_SERVICE"] {
            child.env_remove(variable);
        }
        let output = child.envs(platform.map(|variable| (variable, "shop"))).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        text.lines().filter(|line| line.contains("which is on the instance's own disk")).count()
    };
    assert_eq!([lines(Some("K_SERVICE")), lines(Some("GAE_SERVICE")), lines(None)], [1, 1, 0]);
}

/// Does nothing unless the test above starts it.
#[test]
fn child_that_keeps_dead_letters_in_a_file() {
    if std::env::var_os("KEEPS_DEAD_LETTERS").is_none() {
        return;
    }
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stdout).init();
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let world = World::with(Registry::new().with::<idle>());
        let url = format!("sqlite:{}", folder.path().join("dead.db").display());
        let dead = Client::builder().registry(Registry::new()).open(&url).await.unwrap();
        world.client.push_service().verify(Secret).dead_letters(&dead).build().unwrap();
    });
}
