//! The targets of tasks, and their settings in a URL.

use std::time::Duration;

use gae_tasks::Error;

use super::*;

fn app_engine(server: &Server) -> CloudTasksBuilder {
    CloudTasks::builder("shop", "europe-west1").endpoint(server.url()).anonymous().app_engine()
}

async fn routing(builder: CloudTasksBuilder, server: &Server) -> (String, String) {
    let tasks = client_of(builder).await;
    greet::defer("you").on(&tasks).await.unwrap();
    let request = only_task(server)["appEngineHttpRequest"].clone();
    assert_eq!(request["relativeUri"], "/_cb/deferred/shop/greet");
    assert_eq!(request["headers"]["Content-Type"], "application/octet-stream");
    let text = |name: &str| request["appEngineRouting"][name].as_str().unwrap().to_owned();
    (text("service"), text("version"))
}

#[tokio::test]
async fn the_default_service_sends_to_the_background_service_at_the_same_version() {
    let server = server().await;
    let builder = app_engine(&server).background_service("worker").deferring_from("default", "v7");
    assert_eq!(routing(builder, &server).await, ("worker".to_owned(), "v7".to_owned()));
}

#[tokio::test]
async fn other_services_stay_within_themselves() {
    let server = server().await;
    let builder = app_engine(&server).background_service("worker").deferring_from("reports", "v7");
    assert_eq!(routing(builder, &server).await, ("reports".to_owned(), "v7".to_owned()));
}

#[tokio::test]
async fn a_named_service_gets_all_tasks() {
    let server = server().await;
    let builder =
        app_engine(&server).service("worker").version("v1").deferring_from("default", "v7");
    assert_eq!(routing(builder, &server).await, ("worker".to_owned(), "v1".to_owned()));
}

#[tokio::test]
async fn elsewhere_app_engine_chooses_itself() {
    let server = server().await;
    assert_eq!(routing(app_engine(&server), &server).await, (String::new(), String::new()));
}

#[tokio::test]
async fn a_url_has_no_services_to_choose_from() {
    let server = server().await;
    let refused =
        greet::defer("you").target("reports").on(&client(&server).await).await.unwrap_err();
    assert!(matches!(refused, Error::UnsupportedOption { .. }), "{refused}");
    assert_eq!(server.calls("CreateTask"), 0);
}

#[test]
fn a_builder_tells_no_values_of_headers() {
    let builder =
        CloudTasks::builder("shop", "europe-west1").header("Authorization", "Bearer hush");
    let text = format!("{builder:?}");
    assert!(text.contains("Authorization") && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn app_engine_takes_a_day_for_an_attempt() {
    let server = server().await;
    let tasks = client_of(app_engine(&server)).await;
    assert_eq!(tasks.capabilities().max_deadline, Duration::from_secs(86_415));
    greet::defer("you").deadline(Duration::from_secs(86_415)).on(&tasks).await.unwrap();
    assert_eq!(only_task(&server)["dispatchDeadline"], "86415s");
}

#[tokio::test]
async fn a_url_says_all_that_the_builder_can() {
    let server = server().await;
    let url = format!(
        "cloudtasks://shop/europe-west1?url=https://w.run.app/base/&service_account=q@shop.iam.gserviceaccount.com\
         &audience=https://w&prefix=/tasks&endpoint={}&credentials=anonymous&time_limit=5s&max_payload=2000",
        server.url()
    );
    let tasks = Client::open(&url).await.unwrap();
    assert_eq!(tasks.capabilities().max_payload, 2000);
    greet::defer("you").on(&tasks).await.unwrap();
    let request = &only_task(&server)["httpRequest"];
    assert_eq!(request["url"], "https://w.run.app/base/tasks/shop/greet");
    let token = &request["oidcToken"];
    assert_eq!(token["serviceAccountEmail"], "q@shop.iam.gserviceaccount.com");
    assert_eq!(token["audience"], "https://w");
}

#[tokio::test]
async fn the_audience_is_the_servers_url_unless_another_is_named() {
    let server = server().await;
    let tasks =
        client_of(builder(&server).http("https://w.run.app/").service_account("q@shop")).await;
    greet::defer("you").on(&tasks).await.unwrap();
    assert_eq!(only_task(&server)["httpRequest"]["oidcToken"]["audience"], "https://w.run.app");
}

#[tokio::test]
async fn a_url_with_an_unknown_parameter_is_answered_with_the_known_ones() {
    let error = Client::open("cloudtasks://shop/europe-west1?servce=worker").await.unwrap_err();
    assert!(matches!(error, Error::Url { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("unknown parameter `servce`") && text.contains("`service`"), "{text}");
}

#[tokio::test]
async fn everything_that_does_not_fit_is_said_at_once() {
    let url = "cloudtasks://shop/europe-west1?audience=a&prefix=no&time_limit=0s&max_payload=9999999&endpoint=here";
    let error = Client::open(url).await.unwrap_err();
    let text = error.to_string();
    for part in ["audience", "the prefix `no`", "time limit", "9999999", "endpoint `here`"] {
        assert!(text.contains(part), "{text}");
    }
    for (url, part) in [
        ("cloudtasks://shop/europe-west1?service=a&url=http://b", "not to both"),
        ("cloudtasks://shop/europe-west1?url=worker", "is not a URL"),
        ("cloudtasks://shop/europe-west1?service=a&background_service=b", "name one of the two"),
        ("cloudtasks://shop/europe-west1?url=http://b&audience=a", "service account: name one"),
        ("cloudtasks://shop/eu_west", "does not name project and region"),
    ] {
        let text = Client::open(url).await.unwrap_err().to_string();
        assert!(text.contains(part), "{url}: {text}");
    }
}

#[tokio::test]
async fn a_target_must_be_named() {
    let text = Client::open("cloudtasks://shop/europe-west1").await.unwrap_err().to_string();
    assert!(text.contains("`url=`") && text.contains("`target=app-engine`"), "{text}");
}

/// Reads the environment in a process of its own: this test binary again, with one test.
async fn in_environment(server: &Server, url: &str, variables: &[(&str, &str)]) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "cloud_tasks::targets::a_client_of_the_environment_defers"])
        .env("GAE_TASKS_URL", url);
    child.env("CLOUD_TASKS_EMULATOR_HOST", server.url().trim_start_matches("http://"));
    child.envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn a_client_of_the_environment_defers() {
    if std::env::var("GAE_TASKS_URL").is_ok() {
        let tasks = Client::from_env().await.unwrap();
        greet::defer("you").on(&tasks).await.unwrap();
    } else {
        let server = server().await;
        in_environment(&server, "cloudtasks://shop/europe-west1?url=http://worker.test", &[]).await;
        assert_eq!(
            only_task(&server)["httpRequest"]["url"],
            "http://worker.test/_cb/deferred/shop/greet"
        );
    }
}

#[tokio::test]
async fn app_engine_says_itself_from_where_a_task_is_deferred() {
    let server = server().await;
    let here = [("GAE_SERVICE", "default"), ("GAE_VERSION", "20261124t1")];
    in_environment(&server, "cloudtasks://shop/europe-west1?background_service=worker", &here)
        .await;
    let routing = &only_task(&server)["appEngineHttpRequest"]["appEngineRouting"];
    assert_eq!(
        (&routing["service"], &routing["version"]),
        (&"worker".into(), &"20261124t1".into())
    );
}
