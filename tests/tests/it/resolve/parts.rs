//! Fields and variants of the types of parameters.

use super::stage::{World, versions};

versions! {
    fields {
        #[derive(Serialize, Deserialize)]
        pub struct Order { pub id: u64, pub cents: u32, pub note: String }

        #[deferred(name = "rolling/fields")]
        pub async fn task(orders: Vec<Order>, #[state] ran: &Ran) {
            let shown = orders.iter().map(|one| format!(" {} {} {}", one.id, one.cents, one.note));
            ran.note(format!("old:{}", shown.collect::<String>()));
        }
    } => {
        #[derive(Serialize, Deserialize)]
        pub struct Order {
            #[serde(alias = "cents")]
            pub price: u64,
            #[serde(default = "euros")]
            pub currency: String,
            pub id: u64,
            pub tax: Option<u8>,
        }

        fn euros() -> String {
            "EUR".to_owned()
        }

        #[deferred(name = "rolling/fields", ignores = "orders.note")]
        pub async fn task(orders: Vec<Order>, #[state] ran: &Ran) {
            let shown = orders
                .iter()
                .map(|one| format!(" {} {} {} {:?}", one.id, one.price, one.currency, one.tax));
            ran.note(format!("new:{}", shown.collect::<String>()));
        }
    }

    variants {
        #[derive(Serialize, Deserialize, Debug)]
        pub enum Action { Suspend, Delete, Move { from: u8, to: u8 } }

        #[deferred(name = "rolling/variants")]
        pub async fn task(action: Action, #[state] ran: &Ran) {
            ran.note(format!("old: {action:?}"));
        }
    } => {
        #[derive(Serialize, Deserialize, Debug)]
        pub enum Action {
            Warn,
            #[serde(alias = "Delete")]
            Erase,
            Suspend,
            Move { to: u8, from: u8 },
        }

        #[deferred(name = "rolling/variants")]
        pub async fn task(action: Action, #[state] ran: &Ran) {
            ran.note(format!("new: {action:?}"));
        }
    }

    tuple_to_struct {
        #[deferred(name = "rolling/tuple_to_struct")]
        pub async fn task(point: (i32, i32), #[state] ran: &Ran) {
            ran.note(format!("old: {point:?}"));
        }
    } => {
        #[derive(Serialize, Deserialize, Debug)]
        pub struct Point { pub x: i32, pub y: i32 }

        #[deferred(name = "rolling/tuple_to_struct")]
        pub async fn task(point: Point, #[state] ran: &Ran) {
            ran.note(format!("new: {point:?}"));
        }
    }
}

#[tokio::test]
async fn fields_are_added_removed_renamed_and_reordered() {
    use fields::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let order = |id| old::Order { id, cents: 100, note: "x".to_owned() };
        let ran = world.resolves(old::task::defer(vec![order(1), order(2)]), &after).await;
        assert_eq!(ran, "new: 1 100 EUR None 2 100 EUR None");
        let order = new::Order { price: 1, currency: "CHF".to_owned(), id: 3, tax: None };
        let why = world.waits(new::task::defer(vec![order]), &before).await;
        // The alias of `price` says that it is the old `cents`.
        for field in ["currency", "tax"] {
            let unknown = format!("field `orders[].{field}` is not known here");
            assert!(why.contains(&unknown), "{why}");
        }
        assert!(!why.contains("price") && !why.contains("cents"), "{why}");
    }
}

#[tokio::test]
async fn variants_are_found_by_name() {
    use variants::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        for (action, expected) in [
            (old::Action::Suspend, "new: Suspend"),
            (old::Action::Delete, "new: Erase"),
            (old::Action::Move { from: 1, to: 2 }, "new: Move { to: 2, from: 1 }"),
        ] {
            assert_eq!(world.resolves(old::task::defer(action), &after).await, expected);
        }
    }
}

#[tokio::test]
async fn a_variant_that_the_old_program_does_not_know_is_left_to_the_new_one() {
    use variants::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let id = new::task::defer(new::Action::Warn).on(&after).await.unwrap().id;
        new::task::defer(new::Action::Suspend).on(&after).await.unwrap();
        assert_eq!(world.run(&before).await, ["old: Suspend"]);
        let record = world.record(&before, id).await;
        assert_eq!((record.attempts, record.refusals), (0, 1));
        let error = &record.errors[0].message;
        assert!(
            error.contains("parameter `action::Warn` is a variant that is not known here"),
            "{error}"
        );
        assert_eq!(world.run(&after).await, ["new: Warn"], "at once, though the old one pauses");
    }
}

#[tokio::test]
async fn a_tuple_is_no_struct() {
    use tuple_to_struct::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        let why = world.waits(old::task::defer((1, 2)), &after).await;
        assert!(why.contains("parameter `point`: was an array of 2, is a struct"), "{why}");
    }
}
