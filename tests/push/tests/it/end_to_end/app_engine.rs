//! App Engine targets: the platform's headers prove the origin of a request, and tasks go to the
//! background service.

use super::shop::{PLACE, Shop, ShopSettings, flaky, write};

#[tokio::test]
async fn what_the_default_service_defers_runs_in_the_background_service_of_its_version() {
    let shop = Shop::open(ShopSettings::app_engine()).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("hello").on(&shop.tasks).await.unwrap();
    let routing =
        shop.queue.tasks(PLACE, "emails")[0]["appEngineHttpRequest"]["appEngineRouting"].clone();
    assert_eq!(
        (routing["service"].as_str(), routing["version"].as_str()),
        (Some("worker"), Some("v7"))
    );
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let (headers, is_proven) = shop.requests().remove(0);
    assert!(is_proven);
    assert_eq!(headers["x-appengine-queuename"], "emails");
}

#[tokio::test]
async fn a_call_names_another_service_and_version() {
    let shop = Shop::open(ShopSettings::app_engine()).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("hello").target_version("default", "v9").on(&shop.tasks).await.unwrap();
    let routing =
        shop.queue.tasks(PLACE, "emails")[0]["appEngineHttpRequest"]["appEngineRouting"].clone();
    assert_eq!(
        (routing["service"].as_str(), routing["version"].as_str()),
        (Some("default"), Some("v9"))
    );
}

#[tokio::test]
async fn its_headers_tell_the_number_of_the_attempt() {
    let shop = Shop::open(ShopSettings::app_engine()).await;
    flaky::defer(2, "x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await, [500, 200]);
    assert_eq!(shop.seen().iter().map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 2]);
}
