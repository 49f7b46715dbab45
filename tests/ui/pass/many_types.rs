use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use gae_tasks::{Client, Json, deferred};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Order {
    Book { isbn: [u8; 13] },
    Song(String),
}

#[deferred]
async fn work(
    map: HashMap<String, Vec<u8>>,
    tuple: (u8, i128, char),
    order: Order,
    nested: Option<Result<Order, String>>,
    cow: Cow<'static, str>,
    time: Duration,
    json: Json<serde_json::Value>,
    unit: (),
) {
    // The parameters are `Send`; values that live between two awaits need not be.
    let shared = Rc::new(map);
    assert_eq!(shared["a"], [1, 2]);
    assert_eq!((tuple, order), ((1, -2, 'x'), Order::Book { isbn: [7; 13] }));
    assert_eq!(nested, Some(Ok(Order::Song("b".to_owned()))));
    assert_eq!((&*cow, time, unit), ("c", Duration::from_secs(5), ()));
    assert_eq!(json.0["title"], "d");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    let map = HashMap::from([("a".to_owned(), vec![1, 2])]);
    let nested = Some(Ok(Order::Song("b".to_owned())));
    let json = Json(serde_json::json!({"title": "d"}));
    let order = Order::Book { isbn: [7; 13] };
    let task = work::defer(map, (1, -2, 'x'), order, nested, "c".into(), Duration::from_secs(5), json, ());
    assert_eq!(tasks.run(task).await.unwrap(), 1);
}
