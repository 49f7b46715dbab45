//! The routes: orders, customers, and the dead letters for the administrator.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use gae_tasks::{Client, Error, TaskFilter, TaskId, TaskRecord, TaskState, Timestamp};
use serde::{Deserialize, Serialize};

use crate::orders::{Customers, charge};

/// What the handlers of the routes share.
#[derive(Debug, Clone)]
struct Shop {
    tasks: Client,
    customers: Customers,
}

/// The routes. Those below `/admin` belong behind the authentication of the shop.
pub(crate) fn router(tasks: Client, customers: Customers) -> Router {
    Router::new()
        .route("/orders", post(place_order))
        .route("/customers/{name}", put(put_customer))
        .route("/admin/dead-letters", get(dead_letters))
        .route("/admin/dead-letters/{id}/replay", post(replay))
        .with_state(Shop { tasks, customers })
}

/// An order, numbered by the caller.
#[derive(Debug, Deserialize)]
struct Order {
    order: u64,
    customer: String,
    cents: u64,
}

/// Defers the charge. The name makes the request repeatable: an order that is placed twice is
/// charged once.
async fn place_order(
    State(shop): State<Shop>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, Json<TaskId>), Failed> {
    let name = format!("charge-{}", order.order);
    let charge = charge::defer(order.order, order.customer, order.cents).named(name);
    let deferred = charge.on(&shop.tasks).await?;
    let status = if deferred.created { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(deferred.id)))
}

/// What is stored of a customer.
#[derive(Debug, Deserialize)]
struct Customer {
    card: String,
}

async fn put_customer(
    State(shop): State<Shop>,
    Path(name): Path<String>,
    Json(customer): Json<Customer>,
) -> StatusCode {
    shop.customers.put(name, customer.card);
    StatusCode::NO_CONTENT
}

/// A dead letter, as the administrator sees it.
#[derive(Debug, Serialize)]
struct DeadLetter {
    id: TaskId,
    kind: String,
    name: Option<String>,
    /// By the names of the parameters; or why they cannot be shown.
    args: serde_json::Value,
    died: Option<Timestamp>,
    /// One for each attempt, oldest first.
    errors: Vec<String>,
}

impl From<TaskRecord> for DeadLetter {
    fn from(task: TaskRecord) -> Self {
        let args = match task.args_json() {
            Ok(json) => serde_json::from_str(&json).unwrap_or(json.into()),
            Err(error) => error.to_string().into(),
        };
        Self {
            args,
            id: task.spec.id,
            kind: task.spec.kind.to_string(),
            name: task.spec.name.map(|name| name.to_string()),
            died: task.died,
            errors: task.errors.into_iter().map(|error| error.message).collect(),
        }
    }
}

/// The newest hundred dead letters.
async fn dead_letters(State(shop): State<Shop>) -> Result<Json<Vec<DeadLetter>>, Failed> {
    let dead = TaskFilter::new().state(TaskState::Dead);
    let letters = shop.tasks.list(dead, None, 100).newest_first().with_payloads().await?;
    Ok(Json(letters.into_iter().map(DeadLetter::from).collect()))
}

/// Gives a dead letter all its attempts again.
async fn replay(State(shop): State<Shop>, Path(id): Path<TaskId>) -> Result<StatusCode, Failed> {
    shop.tasks.replay(id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// An error of the queue.
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        if let Error::NoSuchTask { .. } = self.0 {
            return (StatusCode::NOT_FOUND, self.0.to_string()).into_response();
        }
        tracing::error!("{:#}", anyhow::Error::from(self.0));
        (StatusCode::INTERNAL_SERVER_ERROR, "That did not work; please try again.").into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use gae_tasks::Outcome;
    use gae_tasks::testing::{ManualClock, assert_deferred, assert_not_deferred};

    use super::*;
    use crate::gateway::{Gateway, Sandbox};
    use crate::orders::send_receipt;

    /// A shop on a queue of its own, its clock, and its gateway.
    async fn shop() -> (Shop, ManualClock, Arc<Sandbox>) {
        let (clock, gateway) = (ManualClock::new(), Arc::new(Sandbox::default()));
        let customers = Customers::default();
        let tasks = Client::builder()
            .clock(clock.clone())
            .state::<Arc<dyn Gateway>>(gateway.clone())
            .state(customers.clone())
            .open("memory:")
            .await
            .unwrap();
        (Shop { tasks, customers }, clock, gateway)
    }

    async fn place(shop: &Shop, order: u64, customer: &str) -> (StatusCode, TaskId) {
        let order = Order { order, customer: customer.to_owned(), cents: 990 };
        let placed = place_order(State(shop.clone()), Json(order)).await;
        let (status, id) = placed.map_err(|failed| failed.0).unwrap();
        (status, id.0)
    }

    /// Runs the attempts that fail while the gateway does not answer. The pauses are exact, as the
    /// attribute sets the backoff.
    async fn wait_for_the_gateway(shop: &Shop, clock: &ManualClock) {
        for pause in [1, 2] {
            let failed = shop.tasks.drain().await;
            assert!(matches!(failed, Err(Error::TaskFailed { .. })), "{failed:?}");
            assert_eq!(shop.tasks.drain().await.unwrap(), 0, "the pause has not passed");
            clock.advance(Duration::from_secs(pause));
        }
    }

    async fn letters(shop: &Shop) -> Vec<DeadLetter> {
        dead_letters(State(shop.clone())).await.map_err(|failed| failed.0).unwrap().0
    }

    #[tokio::test]
    async fn an_order_is_charged_when_the_gateway_answers_again() {
        let (shop, clock, gateway) = shop().await;
        assert_eq!(place(&shop, 1, "ada").await.0, StatusCode::ACCEPTED);
        assert_deferred!(shop.tasks, charge, |args| args.order == 1 && args.cents == 990);

        wait_for_the_gateway(&shop, &clock).await;
        assert_not_deferred!(shop.tasks, send_receipt);
        assert_eq!(shop.tasks.drain().await.unwrap(), 2); // the charge and the receipt
        assert_eq!(gateway.charged(1), Some(990));
        assert_eq!(shop.tasks.stats().await.unwrap().open(), 0);
    }

    #[tokio::test]
    async fn an_order_that_is_placed_twice_is_one_task() {
        let (shop, ..) = shop().await;
        let (_, first) = place(&shop, 1, "ada").await;
        assert_eq!(place(&shop, 1, "ada").await, (StatusCode::OK, first));
        assert_eq!(shop.tasks.stats().await.unwrap().open(), 1);
    }

    #[tokio::test]
    async fn a_declined_order_is_charged_after_the_card_is_corrected_and_it_is_replayed() {
        let (shop, clock, gateway) = shop().await;
        let (_, id) = place(&shop, 2, "bob").await;
        wait_for_the_gateway(&shop, &clock).await;
        shop.tasks.drain().await.unwrap_err();

        let letter = letters(&shop).await.pop().unwrap();
        assert_eq!((letter.id, letter.name.as_deref()), (id, Some("charge-2")));
        let args = serde_json::json!({"order": 2, "customer": "bob", "cents": 990});
        assert_eq!(letter.args, args);
        assert_eq!(letter.errors.len(), 3);
        assert_eq!(letter.errors[2], "order 2 of bob: the card is declined");

        let card = Json(Customer { card: "4242".to_owned() });
        put_customer(State(shop.clone()), Path("bob".to_owned()), card).await;
        let replayed = replay(State(shop.clone()), Path(id)).await.map_err(|failed| failed.0);
        assert_eq!(replayed.unwrap(), StatusCode::ACCEPTED);
        assert_eq!(shop.tasks.drain().await.unwrap(), 2);
        assert_eq!(gateway.charged(2), Some(990));
        assert!(letters(&shop).await.is_empty());
    }

    #[tokio::test]
    async fn a_task_that_is_no_dead_letter_is_not_replayed() {
        let (shop, ..) = shop().await;
        let (_, id) = place(&shop, 1, "ada").await;
        let failed = replay(State(shop), Path(id)).await.unwrap_err();
        assert_eq!(failed.into_response().status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn an_unknown_customer_is_a_permanent_failure() {
        let (shop, ..) = shop().await;
        let outcome = shop.tasks.perform(charge::defer(3, "eve", 5)).await.unwrap();
        assert!(matches!(outcome, Outcome::Permanent(_)), "{outcome:?}");
    }
}
